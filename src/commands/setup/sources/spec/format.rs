//! Says what a document is that is no Monitoring Spec (pure).

use serde_json::Value;

/// How large a part of a document is looked at.
const LOOKED_AT: usize = 4096;

/// The kind of a document that is not text of JSON or YAML, by its first bytes.
pub fn of_bytes(bytes: &[u8]) -> Option<&'static str> {
    let starts = |start: &[u8]| bytes.starts_with(start);
    let is_utf_16 = starts(b"\xff\xfe") || starts(b"\xfe\xff");
    Some(match () {
        () if bytes.trim_ascii().is_empty() => "it is empty",
        () if is_utf_16 => "it is UTF-16 text: save it as UTF-8",
        () if starts(b"%PDF") => "it is a PDF: download the Monitoring Spec itself, a JSON or YAML file",
        () if starts(b"PK\x03\x04") => "it is a ZIP archive: unpack it, and give the file in it",
        () if starts(b"\x1f\x8b") => "it is compressed: unpack it with gunzip first",
        () if starts(b"\x89PNG") || starts(b"\xff\xd8\xff") => "it is an image",
        () if bytes.contains(&0) => "it is not text",
        () => return None,
    })
}

/// The kind of a text that is neither JSON nor YAML, or that YAML would misunderstand.
pub fn of_text(text: &str) -> Option<&'static str> {
    let start: String = text.trim_start().chars().take(LOOKED_AT).collect::<String>().to_ascii_lowercase();
    if start.starts_with("<!doctype html") || start.starts_with("<html") {
        return Some("it is a web page, perhaps a page to sign in: download the file again while you are signed in");
    }
    if start.starts_with('<') {
        return Some("it is XML; a Monitoring Spec is OpenAPI 3, in JSON or YAML");
    }
    if start.starts_with("#%raml") {
        return Some("it is RAML; a Monitoring Spec is OpenAPI 3");
    }
    None
}

/// Why a parsed document is not OpenAPI 3. `None` where it is.
pub fn of_document(document: &Value) -> Option<String> {
    let is_3 = "a Monitoring Spec is OpenAPI 3";
    let text = |key: &str| {
        document.get(key).map(|version| match version {
            Value::String(version) => version.clone(),
            other => other.to_string(),
        })
    };
    if let Some(version) = text("openapi") {
        let is_number = !document["openapi"].is_string();
        return match version.as_str() {
            version if version.starts_with("3.") && !is_number => None,
            version if version.starts_with('3') && is_number => {
                Some(format!("its \"openapi\" is the number {version}: write it as text, as in openapi: \"3.0.3\""))
            }
            version => Some(format!("it is OpenAPI {}; {is_3}", short(version))),
        };
    }
    if let Some(version) = text("swagger") {
        return Some(format!(
            "it is Swagger {}, the version before OpenAPI 3: download the Monitoring Spec from ACT again, or convert it",
            short(&version)
        ));
    }
    if let Some(version) = text("asyncapi") {
        return Some(format!("it is AsyncAPI {}; {is_3}", short(&version)));
    }
    let has = |pointer: &str| document.pointer(pointer).is_some();
    Some(match document {
        Value::Array(_) => format!("it is a list; {is_3}, which is an object"),
        Value::Object(_) if has("/info/_postman_id") || has("/item") && has("/info/schema") => {
            format!("it is a collection of Postman; {is_3}")
        }
        Value::Object(_) if has("/env") && !has("/paths") => {
            "it is a settings file of Claude Code: for the recipe in it, act-claude act setup --from-settings"
                .to_owned()
        }
        Value::Object(_) if has("/accounts") || has("/aliases") => {
            "it is a configuration of act-claude, which needs no Monitoring Spec".to_owned()
        }
        Value::Object(_) if has("/$schema") || has("/properties") => format!("it is a JSON Schema; {is_3}"),
        Value::Object(_) => "it is not an OpenAPI 3 document: it has no \"openapi: 3.…\"".to_owned(),
        Value::String(_) | Value::Number(_) | Value::Bool(_) => {
            format!("it is not an OpenAPI 3 document, but text: {is_3}, in JSON or YAML")
        }
        Value::Null => "it is empty".to_owned(),
    })
}

/// A version for a message. It may be anything.
fn short(version: &str) -> String {
    version.chars().take(20).collect()
}

/// How many documents a YAML text has.
pub fn documents(text: &str) -> usize {
    let mut count = 0;
    let mut has_content = false;
    for line in text.lines() {
        let is_mark = line == "---" || line.starts_with("--- ") || line == "...";
        if is_mark {
            count += usize::from(has_content);
            // Content may follow on the same line.
            has_content = line.starts_with("--- ") && !line[4..].trim_start().is_empty();
        } else {
            let line = line.trim_start();
            has_content |= !line.is_empty() && !line.starts_with('#') && !line.starts_with('%');
        }
    }
    count + usize::from(has_content)
}

/// The text without its comments. `None` where it has none.
pub fn without_comments(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    let (mut in_string, mut is_changed) = (false, false);
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '\\' if in_string => c.len_utf8() + rest[1..].chars().next().map_or(0, char::len_utf8),
            '"' => {
                in_string = !in_string;
                1
            }
            '/' if !in_string && rest.starts_with("//") => {
                is_changed = true;
                rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
                continue;
            }
            '/' if !in_string && rest.starts_with("/*") => {
                is_changed = true;
                rest = rest.find("*/").map_or("", |end| &rest[end + 2..]);
                continue;
            }
            _ => c.len_utf8(),
        };
        plain.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    is_changed.then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_counted() {
        for (text, count) in [
            ("", 0),
            ("a: 1\n", 1),
            ("---\na: 1\n", 1),
            ("# c\n%YAML 1.2\n---\na: 1\n...\n", 1),
            ("a: 1\n---\nb: 1\n", 2),
            ("--- {a: 1}\n--- {b: 1}\n", 2),
            ("a: 1\n---\n---\n# nothing\n", 1),
            ("a: |\n  ---\n  text\n", 1),
        ] {
            assert_eq!(documents(text), count, "{text:?}");
        }
    }

    #[test]
    fn comments_are_told_from_text() {
        assert_eq!(without_comments("{\"a\": \"//x /* \\\" */\"}"), None);
        assert_eq!(without_comments("// a\n{\"a\": 1 /* b */} // c").as_deref(), Some("\n{\"a\": 1 } "));
        assert_eq!(without_comments("/* open").as_deref(), Some(""));
        assert_eq!(without_comments("{\"ä\\"), None);
    }
}
