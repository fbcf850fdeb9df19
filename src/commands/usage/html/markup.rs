//! Text in HTML (pure): whatever a name is, it stays text.

use crate::text::amount::dollars;
use crate::text::printable;

/// The text, for an element's content and for an attribute in quotes.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in printable::visible(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// An amount: what is less than a cent has a `<`.
pub fn money(amount: f64) -> String {
    escaped(&dollars(amount))
}

/// A sentence of act-claude's own, with its commands marked as such. A command ends with its sentence.
pub fn with_commands(sentence: &str) -> String {
    const COMMAND: &str = "act-claude act ";
    let mut parts = sentence.split(COMMAND);
    let mut text = escaped(parts.next().unwrap_or_default());
    for part in parts {
        let end = part.find(['.', ',', ';']).unwrap_or(part.len());
        let (command, rest) = part.split_at(end);
        text.push_str(&format!("<code>{COMMAND}{}</code>{}", escaped(command), escaped(rest)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_text() {
        for (name, text) in [
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("\"><img src=x onerror='x'>", "&quot;&gt;&lt;img src=x onerror=&#39;x&#39;&gt;"),
            ("a&lt;b", "a&amp;lt;b"),
            ("two\nlines\u{202e}", r"two\nlines\u{202e}"),
            ("größe", "größe"),
        ] {
            assert_eq!(escaped(name), text);
        }
    }

    #[test]
    fn commands_are_marked() {
        assert_eq!(
            with_commands("Wrong: act-claude act history. Then: act-claude act flush"),
            "Wrong: <code>act-claude act history</code>. Then: <code>act-claude act flush</code>"
        );
        assert_eq!(with_commands("a < b"), "a &lt; b");
    }
}
