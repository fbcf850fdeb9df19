//! Forms of settings files that name another metrics endpoint.

/// A form of a settings file.
pub struct Form {
    /// Its name in the table.
    pub name: &'static str,
    make: fn(&str) -> Vec<u8>,
}

impl Form {
    /// The file's content, with the endpoint `url`.
    pub fn bytes(&self, url: &str) -> Vec<u8> {
        (self.make)(url)
    }
}

/// The form with this name.
pub fn named(name: &str) -> &'static Form {
    FORMS.iter().find(|form| form.name == name).unwrap_or_else(|| panic!("no form {name}"))
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";

/// Current clients accept settings of up to this size.
const LARGEST: usize = 2 * 1024 * 1024;

fn variables(url: &str) -> String {
    format!(r#""{ENDPOINT}":"{url}","OTEL_RESOURCE_ATTRIBUTES":"via=file""#)
}

/// `more`: members in front of `env`, each with its comma.
fn text(url: &str, more: &str) -> String {
    format!(r#"{{{more}"env":{{{}}}}}"#, variables(url))
}

/// The settings with these bytes in a string value.
fn noted(url: &str, note: &[u8]) -> Vec<u8> {
    [b"{\"note\":\"", note, b"\",", &text(url, "").as_bytes()[1..]].concat()
}

/// `env` as given, with the URL in place of `@`.
fn env(url: &str, env: &str) -> Vec<u8> {
    format!(r#"{{"env":{}}}"#, env.replace('@', url)).into_bytes()
}

fn wide(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(unit).collect()
}

fn of_size(url: &str, size: usize) -> Vec<u8> {
    let rest = noted(url, b"").len();
    noted(url, &vec![b'x'; size - rest])
}

pub const FORMS: [Form; 38] = [
    Form { name: "as documented", make: |url| text(url, "").into() },
    Form { name: "byte order mark", make: |url| format!("\u{feff}{}", text(url, "")).into() },
    Form { name: "two byte order marks", make: |url| format!("\u{feff}\u{feff}{}", text(url, "")).into() },
    Form { name: "UTF-16LE, mark", make: |url| wide(&format!("\u{feff}{}", text(url, "")), u16::to_le_bytes) },
    Form {
        name: "UTF-16LE, half a unit at the end",
        make: |url| [wide(&format!("\u{feff}{}", text(url, "")), u16::to_le_bytes), b"x".to_vec()].concat(),
    },
    Form { name: "UTF-16LE, no mark", make: |url| wide(&text(url, ""), u16::to_le_bytes) },
    Form { name: "UTF-16BE, mark", make: |url| wide(&format!("\u{feff}{}", text(url, "")), u16::to_be_bytes) },
    Form { name: "byte that is no UTF-8 in a text", make: |url| noted(url, b"caf\xe9") },
    Form { name: "half of a surrogate pair as UTF-8", make: |url| noted(url, b"\xed\xa0\x80") },
    Form { name: "byte that is no UTF-8 behind all", make: |url| [text(url, "").as_bytes(), b"\xff"].concat() },
    Form { name: "NUL in a text", make: |url| noted(url, b"a\0b") },
    Form { name: "NUL behind all", make: |url| [text(url, "").as_bytes(), b"\0"].concat() },
    Form { name: "tab in a text", make: |url| noted(url, b"a\tb") },
    Form { name: "lines end in CR LF", make: |url| text(url, "\r\n").replace(',', ",\r\n").into() },
    Form { name: "white space around", make: |url| format!(" \t\r\n{}\n\t ", text(url, "")).into() },
    Form { name: "no-break space in front", make: |url| format!("\u{a0}{}", text(url, "")).into() },
    Form { name: "line comment", make: |url| format!("// x\n{}", text(url, "")).into() },
    Form { name: "block comment", make: |url| text(url, "/* x */").into() },
    Form { name: "trailing comma", make: |url| env(url, &format!(r#"{{"{ENDPOINT}":"@",}}"#)) },
    Form { name: "single quotes", make: |url| text(url, "").replace('"', "'").into() },
    Form { name: "number beyond floats", make: |url| text(url, r#""note":1e400,"#).into() },
    Form { name: "escape of half a pair", make: |url| noted(url, br"\ud800") },
    Form { name: "escape that is none", make: |url| noted(url, br"\x41") },
    Form {
        name: "escapes in names",
        make: |url| text(url, "").replace("OTEL_", r"\u004fTEL_").replace("env", r"\u0065nv").into(),
    },
    Form { name: "env twice", make: |url| text(url, r#""env":{},"#).into() },
    Form {
        name: "name twice",
        make: |url| env(url, &format!(r#"{{"{ENDPOINT}":"http://127.0.0.1:9/",{}}}"#, variables(url))),
    },
    Form { name: "endpoint null", make: |url| env(url, &format!(r#"{{"{ENDPOINT}":null}}"#)) },
    Form { name: "endpoint empty", make: |url| env(url, &format!(r#"{{"{ENDPOINT}":""}}"#)) },
    Form { name: "endpoint in a list", make: |url| env(url, &format!(r#"{{"{ENDPOINT}":["@"]}}"#)) },
    Form {
        name: "other types in env",
        make: |url| env(url, &format!(r#"{{"A":5,"B":null,"C":{{"d":[1]}},"E":1e400,"F":true,{}}}"#, variables(url))),
    },
    Form { name: "env is a list", make: |url| env(url, r#"[{"A":"@"}]"#) },
    Form { name: "__proto__ around env", make: |url| format!(r#"{{"__proto__":{}}}"#, text(url, "")).into() },
    Form { name: "permissions: 5", make: |url| text(url, r#""permissions":5,"#).into() },
    Form { name: "unknown key", make: |url| text(url, r#""nonsense":{"a":[1]},"#).into() },
    Form { name: "list around all", make: |url| format!("[{}]", text(url, "")).into() },
    Form {
        name: "nested 3000 deep",
        make: |url| text(url, &format!(r#""note":{}{},"#, "[".repeat(3000), "]".repeat(3000))).into(),
    },
    Form { name: "2 MiB", make: |url| of_size(url, LARGEST) },
    Form { name: "2 MiB and a byte", make: |url| of_size(url, LARGEST + 1) },
];
