//! What comes along when a value is copied: white space, quotes, a comma, the name before it (pure).

use super::printable::steers;

/// A name and its value, as in `export NAME=value` or `"name": "value"`.
#[derive(Debug, PartialEq, Eq)]
pub struct Named<'a> {
    /// The name.
    pub name: &'a str,
    /// The value, without quotes.
    pub value: &'a str,
    /// Whether a shell's command for variables stands before the name, such as `export`.
    pub is_command: bool,
}

/// The text without white space and invisible characters around it, such as a byte order mark.
pub fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || (steers(c) && !c.is_control()))
}

/// Quotes that belong together.
const PAIRS: [(char, char); 9] =
    [('"', '"'), ('\'', '\''), ('`', '`'), ('“', '”'), ('„', '“'), ('„', '”'), ('‘', '’'), ('«', '»'), ('»', '«')];

/// The text without quotes around it, and without the comma or semicolon that followed it in a list. A quote without its partner
/// stays: a part of the text may be missing.
pub fn bare(text: &str) -> &str {
    let mut text = trim(text);
    loop {
        let rest = trim(text.trim_end_matches([',', ';']));
        let within = PAIRS.iter().find_map(|(open, close)| rest.strip_prefix(*open)?.strip_suffix(*close));
        let inner = trim(within.unwrap_or(rest));
        if inner == text {
            return text;
        }
        text = inner;
    }
}

/// Whether a text starts or ends with a quote that has no partner.
pub fn has_lone_quote(text: &str) -> bool {
    let is_quote = |c: char| PAIRS.iter().any(|(open, close)| c == *open || c == *close);
    bare(text).starts_with(is_quote) || bare(text).ends_with(is_quote)
}

/// Reads `NAME=value`, `name: value`, `"name": "value"`, with or without a shell's command before it. A `:` separates only where
/// white space or a quote follows it, or where the name is in quotes: other texts contain one, too.
pub fn named(text: &str) -> Option<Named<'_>> {
    const COMMANDS: [&str; 6] = ["export ", "set -gx ", "set -x ", "set ", "setx ", "declare -x "];
    let text = trim(text);
    let text = trim(text.strip_prefix('{').unwrap_or(text)).trim_end_matches('}');
    let command =
        COMMANDS.iter().find(|command| text.get(..command.len()).is_some_and(|t| t.eq_ignore_ascii_case(command)));
    let rest = trim(&text[command.map_or(0, |command| command.len())..]);
    let is_shell = command.is_some() || starts_with(rest, "$env:");
    let rest = if starts_with(rest, "$env:") { &rest[5..] } else { rest };
    let opened = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
    let rest = rest.trim_start_matches(['"', '\'']);
    let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')))?;
    let (name, mut rest) = rest.split_at(length);
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    // The quote before the name may be missing: what was copied may begin behind it.
    let is_quoted = rest.starts_with(['"', '\'']) && rest[1..].trim_start().starts_with([':', '=']);
    rest = if is_quoted { &rest[1..] } else { rest };
    let blank = rest.len() - rest.trim_start().len();
    let (separator, value) = rest.trim_start().split_at_checked(1).unwrap_or_default();
    let value = match opened {
        // One pair of quotes around name and value.
        Some(quote) if !is_quoted => trim(value).trim_end_matches([',', ';']).strip_suffix(quote)?,
        // What was copied begins inside of the name's quotes, and may end inside of the value's.
        None if is_quoted => {
            trim(value).strip_prefix(['"', '\'']).filter(|rest| !rest.contains(['"', '\''])).unwrap_or(value)
        }
        _ => value,
    };
    let is_value = match separator {
        "=" => !value.starts_with('=') && !trim(value).is_empty(),
        ":" => is_quoted || value.starts_with(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')),
        // `setx NAME value`, and fish's `set -gx NAME value`
        _ if is_shell && blank > 0 => return is_name.then(|| Named { name, value: bare(rest), is_command: true }),
        _ => false,
    };
    (is_name && is_value).then(|| Named { name, value: bare(value), is_command: is_shell })
}

/// Whether a text starts with another one, in any case.
pub fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|text| text.eq_ignore_ascii_case(start))
}

/// A name for comparison: in lower case, without `-`, `_`, `.` and blanks.
pub fn plain_name(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '-' | '_' | '.' | ' ')).collect::<String>().to_lowercase()
}

/// Whether a text is a name, as variables and keys have them.
pub fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_surrounds_a_value_is_left_out() {
        for (text, value) in [
            ("x", "x"),
            (" \u{feff}x\r\n", "x"),
            ("\u{200b}x\u{a0}", "x"),
            ("\"x\",", "x"),
            ("“x”", "x"),
            ("`x`;", "x"),
            ("'x y'", "x y"),
            ("x\u{1b}", "x\u{1b}"),
            ("\"\"", ""),
            ("„x“", "x"),
            ("\"x", "\"x"),
            ("x'", "x'"),
            ("\"x'", "\"x'"),
            ("\"", "\""),
            ("", ""),
        ] {
            assert_eq!(bare(text), value, "{text:?}");
        }
    }

    #[test]
    fn a_name_before_a_value_is_told_from_a_value() {
        for (text, name, value) in [
            ("export A_B=x", "A_B", "x"),
            ("A=\"x\"", "A", "x"),
            ("  \"a-b\" : \"x\",", "a-b", "x"),
            ("{\"a\":\"x\"}", "a", "x"),
            ("a\": \"x", "a", "x"),
            ("a: x", "a", "x"),
            ("$env:A = 'x'", "A", "x"),
            ("set \"A=x\"", "A", "x"),
            ("setx A x", "A", "x"),
            ("set -gx A x", "A", "x"),
            ("A=b=c", "A", "b=c"),
        ] {
            let found = named(text).unwrap_or_else(|| panic!("{text:?}"));
            assert_eq!((found.name, found.value), (name, value), "{text:?}");
        }
        let others =
            ["x", "a:b", "a@b.c:d", "https://a.b/c=d", "abc==", "YWJj=", "", "a b", "=x", "é=x", "a=", "\"", "{"];
        for text in others {
            assert_eq!(named(text), None, "{text:?}");
        }
    }
}
