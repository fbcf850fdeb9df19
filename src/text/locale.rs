//! Characters for terminals that are not UTF-8: the few that act-claude's own words need besides ASCII, in ASCII.

use std::borrow::Cow;
use std::sync::OnceLock;

/// Each character with its replacement.
const REPLACED: [(char, &str); 7] =
    [('→', "->"), ('…', "..."), ('✓', "ok"), ('↑', "up"), ('↓', "down"), ('█', "#"), ('░', ".")];

/// The text as a terminal of this process's locale shows it.
pub fn shown(text: &str) -> Cow<'_, str> {
    static IS_UTF8: OnceLock<bool> = OnceLock::new();
    let variable = |name: &str| std::env::var(name).ok();
    match IS_UTF8.get_or_init(|| is_utf8(variable)) {
        true => text.into(),
        false => in_ascii(text),
    }
}

/// Whether the variables choose UTF-8: the first of them that is set and not empty decides (POSIX). Without any, it is the locale C.
fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let mut chosen = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(variable).filter(|value| !value.is_empty());
    let chosen = chosen.next().unwrap_or_default().to_ascii_lowercase();
    chosen.contains("utf-8") || chosen.contains("utf8")
}

/// The text without act-claude's own characters beyond ASCII. Names and paths keep theirs.
fn in_ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match REPLACED.iter().find(|(replaced, _)| *replaced == c) {
            Some((_, with)) => shown.push_str(with),
            None => shown.push(c),
        }
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_is_set_decides() {
        let with = |set: &[(&str, &str)]| {
            is_utf8(|name| set.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned()))
        };
        assert!(with(&[("LANG", "de_DE.UTF-8")]) && with(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8"), ("LANG", "C")]));
        assert!(!with(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]) && !with(&[]) && !with(&[("LANG", "POSIX")]));
    }

    #[test]
    fn only_our_own_characters_are_replaced() {
        assert_eq!(in_ascii("Registry → Agents, export X=…, ~/größe"), "Registry -> Agents, export X=..., ~/größe");
    }
}
