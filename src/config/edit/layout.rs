//! The layout of a new value: like the text around it (pure).

use serde_json::Value;

/// The longest line that is produced.
pub const WIDTH: usize = 100;

/// The place that a value is inserted at.
#[derive(Debug)]
pub struct Insertion {
    /// White space at the start of its line.
    indent: String,
    /// The column of its first character.
    column: usize,
    /// One level of indentation.
    unit: String,
    newline: &'static str,
    /// How many keys lead to it. Each entry of the configuration's maps (accounts, aliases, directories) has a line of its own.
    depth: usize,
}

impl Insertion {
    /// The insertion of the value that starts at `at`.
    pub fn within(text: &str, at: usize, depth: usize) -> Self {
        let line = line_start(text, at);
        Self {
            indent: leading_space(&text[line..]).to_owned(),
            column: text[line..at].chars().count(),
            unit: unit(text),
            newline: newline(text),
            depth,
        }
    }

    /// The insertion of the value of `key` on a line of its own.
    pub fn indented(text: &str, indent: &str, key: &str, depth: usize) -> Self {
        let column = indent.chars().count() + string(key).chars().count() + 2;
        Self { indent: indent.to_owned(), column, unit: unit(text), newline: newline(text), depth }
    }

    fn inner(&self, key: &str) -> Self {
        let indent = format!("{}{}", self.indent, self.unit);
        let column = indent.chars().count() + string(key).chars().count() + 2;
        Self { indent, column, unit: self.unit.clone(), newline: self.newline, depth: self.depth + 1 }
    }
}

/// A value, on one line where that fits.
pub fn value(value: &Value, place: &Insertion) -> String {
    let short = one_line(value);
    match value {
        Value::Object(members) if !members.is_empty() => {
            if place.depth > 1 && place.column + short.chars().count() < WIDTH {
                return short;
            }
            let Insertion { newline, indent, unit, .. } = place;
            let members = members
                .iter()
                .map(|(key, value)| format!("{newline}{indent}{unit}{}", member(key, value, &place.inner(key))));
            format!("{{{}{newline}{indent}}}", members.collect::<Vec<_>>().join(","))
        }
        _ => short,
    }
}

/// A member on a line of its own, without the indentation; `place` is that of its value.
pub fn member(key: &str, value: &Value, place: &Insertion) -> String {
    format!("{}: {}", string(key), self::value(value, place))
}

/// A member on one line.
pub fn one_line_member(key: &str, value: &Value) -> String {
    format!("{}: {}", string(key), one_line(value))
}

fn one_line(value: &Value) -> String {
    match value {
        Value::Object(members) if !members.is_empty() => {
            let members: Vec<String> = members.iter().map(|(key, value)| one_line_member(key, value)).collect();
            format!("{{ {} }}", members.join(", "))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(one_line).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

fn string(text: &str) -> String {
    Value::from(text).to_string()
}

/// White space that aligns a line with the character at `at`.
pub fn indent(text: &str, at: usize) -> String {
    let before = &text[line_start(text, at)..at];
    // JSON does not allow Unicode's other white space.
    before.chars().map(|c| if c == '\t' { c } else { ' ' }).collect()
}

/// Whether only white space precedes `at` on its line.
pub fn starts_line(text: &str, at: usize) -> bool {
    text[line_start(text, at)..at].trim().is_empty()
}

/// The width of the line around `at` with `with` inserted there.
pub fn width_with(text: &str, at: usize, with: &str) -> usize {
    let rest = text[at..].lines().next().unwrap_or_default();
    text[line_start(text, at)..at].chars().count() + with.chars().count() + rest.chars().count()
}

/// The line ending of the text.
pub fn newline(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// One level of indentation: that of the first indented line.
fn unit(text: &str) -> String {
    let indented = text.lines().skip(1).map(leading_space).find(|space| !space.is_empty());
    indented.filter(|space| space.len() <= 8).unwrap_or("  ").to_owned()
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

fn leading_space(line: &str) -> &str {
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}
