//! Printing for people: nothing printed can control their terminal, hide text or change its order.
//!
//! Names of files, configuration, settings and servers' answers come from elsewhere. All output for people goes through one of
//! these functions. Output for programs (JSON) escapes such characters by itself.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character can control a terminal, is invisible, or changes the order of others: control characters (C0, DEL, C1),
/// line and paragraph separators, bidirectional controls, zero-width and other invisible ones, tags, annotations.
pub(crate) fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// A name or a message on one line: such characters are written as escapes.
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// A line of a report: control characters become spaces, the other such characters are written as escapes.
pub fn line(text: &str) -> String {
    visible(&text.replace(char::is_control, " ")).into_owned()
}

/// Lines of text: like [`visible`], but line breaks and tabs stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}

/// JSON as text: such characters are escaped even where JSON does not require it. The values stay the same.
pub fn json(text: &str) -> Cow<'_, str> {
    if !text.contains(steers) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if steers(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    shown.into()
}

/// Lines of text that contain our own colours: sequences that choose a colour or weight stay, too. Names are made [`visible`]
/// before they are coloured.
pub fn page(text: &str) -> Cow<'_, str> {
    if !text.contains(steers_a_page) {
        return text.into();
    }
    let mut parts = text.split('\u{1b}');
    let mut page = lines(parts.next().unwrap_or_default()).into_owned();
    for part in parts {
        page.push_str(if is_style(part) { "\u{1b}" } else { "\\u{1b}" });
        page.push_str(&lines(part));
    }
    page.into()
}

fn steers_a_page(c: char) -> bool {
    steers(c) && !matches!(c, '\n' | '\t')
}

/// Whether `rest`, the text after ESC, continues a sequence that chooses a colour or weight.
fn is_style(rest: &str) -> bool {
    let Some(rest) = rest.strip_prefix('[') else { return false };
    rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m')
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_escaped = |c: char| steers(c) && !stays(c);
    if !text.contains(is_escaped) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_escaped(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_hides_or_reorders() {
        for (text, shown) in [
            ("plain, ä, 日本, 👩, עברית", "plain, ä, 日本, 👩, עברית"),
            ("\u{1b}]0;x\u{7}\u{1b}[31mred", r"\u{1b}]0;x\u{7}\u{1b}[31mred"),
            ("\u{9b}31m\u{7f}", r"\u{9b}31m\u{7f}"),
            (
                "user\u{202e}gpj.exe\u{2066}\u{200b}\u{feff}\u{e0041}",
                r"user\u{202e}gpj.exe\u{2066}\u{200b}\u{feff}\u{e0041}",
            ),
            ("two\nlines\tand", r"two\nlines\tand"),
        ] {
            assert_eq!(visible(text), shown);
        }
        assert_eq!(lines("two\nlines\tand\r\u{1b}[m"), "two\nlines\tand\\r\\u{1b}[m");
        assert_eq!(line("two\nlines\u{1b}[2J\u{202e}"), "two lines [2J\\u{202e}");
    }

    #[test]
    fn json_reads_the_same() {
        let value = serde_json::json!({ "\u{1b}[31m\u{9b}": ["\u{202e}\u{e0041}\u{7f}\n", "ä日"] });
        let text = value.to_string();
        let shown = json(&text);
        assert_eq!(shown, r#"{"\u001b[31m\u009b":["\u202e\udb40\udc41\u007f\n","ä日"]}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        assert_eq!(json(&format!("{value}")), shown);
    }

    #[test]
    fn a_page_keeps_its_colours_and_nothing_else() {
        let text = "\u{1b}[1mbold\u{1b}[0m\n\u{1b}[38;5;9mx\u{1b}[m";
        assert_eq!(page(text), text);
        assert_eq!(page("\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}m"), r"\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}m");
        assert_eq!(page("\u{1b}[31"), r"\u{1b}[31");
    }
}
