//! The only code that writes to the terminal around a session: as a rule one line, once claude has ended, and never blocking.

use std::io::IsTerminal;
use std::path::Path;

use anstyle::Style;

use crate::config::when::When;
use crate::plan::line::{Importance, Line};
use crate::system::output::{LONGEST, write_once};
use crate::text::{home, locale, page, printable};

/// Selects the lines to write. `is_due` is asked for daily ones only.
pub fn select(lines: Vec<Line>, when: When, on_terminal: bool, is_due: impl Fn(&str) -> bool) -> Vec<Line> {
    let wanted = |line: &Line| match (when, line.importance) {
        (When::Never, _) => false,
        (When::Always | When::Json, _) | (When::Auto, Importance::Action) => true,
        (When::Auto, Importance::Notice) => on_terminal,
        (When::Auto, Importance::Daily) => on_terminal && is_due(&line.text),
    };
    lines.into_iter().filter(wanted).collect()
}

/// Whether the report goes to a terminal.
pub fn on_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// The daily check against the state directory; without one, every line is due.
pub fn due_in<'a>(state: Option<&'a Path>, subject: &'a Path) -> impl Fn(&str) -> bool + 'a {
    move |word| state.is_none_or(|state| crate::state::is_due(state, subject, word))
}

/// Writes `lines`, each after the program's name, with `~` for the home directory.
pub fn write(lines: &[Line]) {
    let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let home = page::home();
    let text: String = lines.iter().map(|line| shown(line, home.as_deref(), colour)).collect();
    if !text.is_empty() {
        write_bounded(&text);
    }
}

/// Only the name is coloured: red where the user must act, otherwise dimmed. So the text is readable on any background.
fn shown(line: &Line, home: Option<&Path>, colour: bool) -> String {
    let style = match (colour, line.importance) {
        (false, _) => Style::new(),
        (true, Importance::Action) => page::RED.bold(),
        (true, Importance::Notice | Importance::Daily) => page::DIM,
    };
    format!("{style}act-claude:{style:#} {}\n", locale::shown(&printable::line(&home::shortened(&line.text, home))))
}

/// Writes the report as one JSON object on a line of its own (`--report json`).
pub fn write_json(report: serde_json::Value) {
    write_bounded(&whole(report));
}

/// The line. Half an object would be none, so of a report that is too long the least important members are left out, and `left_out`
/// names them.
fn whole(mut report: serde_json::Value) -> String {
    let line = |report: &serde_json::Value| format!("{}\n", printable::json(&report.to_string()));
    let mut left_out = Vec::new();
    for member in ["messages", "copies", "usage", "deferred", "text", "cause", "fix", "said", "warning"] {
        if line(&report).len() <= LONGEST {
            break;
        }
        if report.as_object_mut().is_some_and(|report| report.remove(member).is_some()) {
            left_out.push(member);
            report["left_out"] = left_out.as_slice().into();
        }
    }
    line(&report)
}

/// Reports why claude does not run.
pub fn fatal(message: &str) {
    write(&[Line::configuration(message.to_owned())]);
}

/// Writes once, in a way that can't block, stop or kill this process (promise A22).
pub(crate) fn write_bounded(text: &str) {
    write_once(std::io::stderr(), cut(text).as_bytes());
}

/// The text, cut to at most [`LONGEST`] bytes. It still ends with a line break.
fn cut(text: &str) -> std::borrow::Cow<'_, str> {
    const END: &str = "...\n";
    if text.len() <= LONGEST {
        return text.into();
    }
    let mut end = LONGEST - END.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{END}", &text[..end]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_and_only_its_name_is_coloured() {
        let line = Line::configuration("two\nlines\u{1b}[2J".to_owned());
        assert_eq!(shown(&line, None, false), "act-claude: two lines [2J\n");
        assert_eq!(shown(&line, None, true), "\u{1b}[1m\u{1b}[31mact-claude:\u{1b}[0m two lines [2J\n");
        assert_eq!(shown(&Line::notice("n".to_owned()), None, true), "\u{1b}[2mact-claude:\u{1b}[0m n\n");
    }

    #[test]
    fn the_home_is_shown_as_a_tilde() {
        let line = Line::configuration("/home/u/c.json:1:2: x: chmod u+r /home/u/c.json".to_owned());
        let said = shown(&line, Some(Path::new("/home/u")), false);
        assert_eq!(said, "act-claude: ~/c.json:1:2: x: chmod u+r ~/c.json\n");
    }

    #[test]
    fn a_report_that_is_too_long_is_still_an_object() {
        let long = "\u{e9}".repeat(LONGEST);
        for (members, left_out) in [
            (&["copies"][..], serde_json::json!(["copies"])),
            (&["messages", "text"], serde_json::json!(["messages", "text"])),
        ] {
            let mut report = serde_json::json!({"alias": "billing"});
            members.iter().for_each(|member| report[member] = long.as_str().into());
            let read: serde_json::Value = serde_json::from_str(&whole(report)).unwrap();
            assert_eq!(read, serde_json::json!({"alias": "billing", "left_out": left_out}));
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_still_ends_its_line() {
        assert_eq!(cut("short\n"), "short\n");
        let long = format!("{}\n", "é".repeat(LONGEST));
        let cut = cut(&long);
        assert!(cut.len() <= LONGEST && cut.len() > LONGEST - 8 && cut.ends_with("é...\n"), "{}", cut.len());
    }

    #[test]
    fn lines_are_selected_by_importance_and_place() {
        let lines = || vec![Line::configuration("a".into()), Line::notice("n".into()), Line::daily("d".into())];
        let texts = |when, terminal, due: bool| {
            select(lines(), when, terminal, |_| due).into_iter().map(|line| line.text).collect::<String>()
        };
        assert_eq!(texts(When::Auto, true, true), "and");
        assert_eq!(texts(When::Auto, true, false), "an");
        assert_eq!(texts(When::Auto, false, true), "a");
        assert_eq!(texts(When::Always, false, false), "and");
        assert_eq!(texts(When::Never, true, true), "");
    }
}
