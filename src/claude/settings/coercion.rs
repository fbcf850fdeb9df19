//! The text that a value of `env` becomes as a variable: claude accepts every JSON value and converts it to text, as JavaScript's
//! `String(value)` does (docs/observed-claude.md, "Settings files") (pure).

use crate::text::json;

/// A JSON value as claude puts it into the environment: `null` is the text "null", a list is its items with commas between them,
/// an object is "[object Object]". One pass without recursion, because a value may be nested deeper than any stack.
pub fn variable(value: &str) -> String {
    let mut text = String::new();
    let mut rest = value.trim_start_matches(is_space);
    // Whether the value is inside a list, where null is empty.
    let mut in_list = false;
    while let Some(first) = rest.bytes().next() {
        let end = match first {
            b'[' | b']' | b',' => 1,
            b'"' => string_end(rest),
            b'{' => object_end(rest),
            _ => rest.find([',', ']', ' ', '\t', '\n', '\r']).unwrap_or(rest.len()),
        };
        let token = &rest[..end];
        match first {
            b'[' => in_list = true,
            b']' => {}
            b',' => text.push(','),
            b'"' => text.push_str(&json::text_of(token)),
            b'{' => text.push_str("[object Object]"),
            b'n' if in_list => {}
            b'n' | b't' | b'f' => text.push_str(token),
            _ => text.push_str(&number(token)),
        }
        rest = rest[end..].trim_start_matches(is_space);
    }
    text
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// The offset after the string that `text` begins with.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().enumerate().skip(1).find(|&(_, byte)| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

/// The offset after the object that `text` begins with.
fn object_end(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        match text.as_bytes()[at] {
            b'"' => {
                at += string_end(&text[at..]);
                continue;
            }
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}

/// A number as JavaScript writes it.
fn number(token: &str) -> String {
    let Ok(number) = token.parse::<f64>() else { return token.to_owned() };
    let size = number.abs();
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{number:e}");
        return if size < 1.0 { text } else { text.replace('e', "e+") };
    }
    if size == 0.0 { "0".to_owned() } else { number.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_text() {
        for (value, text) in [
            (r#""a\"b""#, "a\"b"),
            (r#""""#, ""),
            ("true", "true"),
            ("false", "false"),
            ("null", "null"),
            ("5", "5"),
            ("1.50", "1.5"),
            ("-0", "0"),
            ("1e3", "1000"),
            ("1e21", "1e+21"),
            ("1.5e-7", "1.5e-7"),
            ("0.000001", "0.000001"),
            ("1e400", "Infinity"),
            ("-1e400", "-Infinity"),
            ("12345678901234567890", "12345678901234567000"),
            ("{}", "[object Object]"),
            (r#"{"a": "}\"", "b": [{}]}"#, "[object Object]"),
            ("[]", ""),
            (r#"["http://x"]"#, "http://x"),
            (r#"[ [ "a" , null ] , { "b" : "," } , 1.0 , [] , true ]"#, "a,,[object Object],1,,true"),
        ] {
            assert_eq!(variable(value), text, "{value}");
        }
        let deep = format!("{}\"x\"{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(variable(&deep), "x");
    }
}
