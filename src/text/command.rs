//! Commands within the text of a fix (pure): a command that is wrapped in its middle breaks when it is pasted.

use anstyle::Style;

use super::page;

/// How the commands begin that fixes name.
const STARTS: [&str; 13] = [
    "act-claude act ",
    "act-claude -",
    "(umask ",
    "cd ",
    "chmod ",
    "claude update",
    "export ",
    "git ",
    "kill ",
    "mkdir ",
    "rm ",
    "sudo ",
    "unset ",
];

/// Whether a text is a command, and not a sentence that begins like one.
pub fn is_command(text: &str) -> bool {
    STARTS.iter().any(|start| text.starts_with(start)) && !text.contains(", ")
}

/// The words before a command, with their colon, and the command; where a text is one, or ends with one.
pub fn split(text: &str) -> Option<(&str, &str)> {
    if is_command(text) {
        return Some(("", text));
    }
    let ends = text.match_indices(": ").map(|(at, _)| text.split_at(at + 2));
    ends.into_iter().find(|(_, rest)| is_command(rest))
}

/// Appends a fix, as [`page::hang`] does, but a command in it is never wrapped: it stands on a line of its own where it would be.
pub fn hang(text: &mut String, indent: usize, width: usize, style: Style, fix: &str) {
    let Some((words, command)) = split(fix) else { return page::hang(text, indent, width, style, fix) };
    let fits = indent + page::columns(&page::visible(fix)) <= width;
    if !words.is_empty() && !fits {
        page::hang(text, indent, width, style, words.trim_end());
        text.push_str(&format!("{:indent$}", ""));
    }
    let line = if words.is_empty() || !fits { command } else { fix };
    text.push_str(&format!("{style}{}{style:#}\n", page::visible(line)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_never_wrapped() {
        let shown = |fix: &str| {
            let mut text = String::new();
            hang(&mut text, 4, 30, Style::new(), fix);
            text
        };
        let secret = "(umask 077 && cat >/home/you/.config/act-claude/grafana)";
        assert_eq!(
            shown(&format!("write its value there: {secret}")),
            format!("write its value there:\n    {secret}\n")
        );
        assert_eq!(shown("first: rm x"), "first: rm x\n");
        let line = "rm -r /home/you/token && act-claude act setup --account acme";
        assert_eq!(shown(line), format!("{line}\n"));
        assert_eq!(
            shown("remove X from the file: act-claude sets it"),
            "remove X from the file:\n    act-claude sets it\n"
        );
        assert_eq!(
            shown("unset XDG_STATE_HOME, or name another one"),
            "unset XDG_STATE_HOME, or\n    name another one\n"
        );
    }
}
