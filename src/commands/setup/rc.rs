//! At the end of a set-up: offers to add the shell's line to its rc file.

use std::path::{Path, PathBuf};

use super::ask;
use super::facts::Facts;
use crate::commands::rc::{Shell, block, file};
use crate::config::edit;
use crate::text::shell::shell_word;

/// Offers the line, where claude does not start act-claude in new shells yet. Returns the file that it was added to. Where nobody
/// can be asked, only the first set-up says what to do.
pub fn offer(facts: &Facts<'_>, is_first: bool) -> Option<PathBuf> {
    let environment = facts.environment;
    let place = Shell::of(environment).and_then(|shell| Some((shell, shell.rc_file(environment)?)));
    // The line that would be added. For a shell that is not known, every shell's.
    let hint = || {
        if is_first {
            let (file, line) = match &place {
                Some((shell, path)) => (edit::directory_key(path, environment), shell.line()),
                None => ("your shell's rc file".to_owned(), "alias claude=act-claude"),
            };
            facts.args.say(&format!("\nTo let claude start act-claude, add to {file}:\n  {line}\n"));
        }
    };
    // Where the shell would not find act-claude, the line would fail. A claude's tool does not speak for the user's shell.
    let is_on_path = which::which_in("act-claude", environment.get("PATH"), "/").is_ok();
    let may_ask = is_on_path && environment.get("CLAUDECODE").is_none() && ask::can_ask(facts.args.yes);
    let Some((shell, path)) = place.clone().filter(|_| may_ask) else {
        hint();
        return None;
    };
    if shell.has_line(environment) {
        return None;
    }
    let shown = edit::directory_key(&path, environment);
    facts.args.say("\n");
    facts.args.tell(&format!("So that claude starts act-claude in every new shell, {shown} needs:"));
    block::lines(shell).iter().for_each(|line| facts.args.say(&format!("  {line}\n")));
    if let Err(why) = file::read(&path) {
        facts.args.tell(&format!("Not added: {why}."));
        return None;
    }
    // Who does not answer has a set-up that is complete all the same.
    if !ask::confirm(&format!("Add this to {shown}?"), "", true).unwrap_or(false) {
        return None;
    }
    // Read again: the answer may have taken a while.
    let added = file::read(&path).and_then(|file| match block::is_there(&file.content) {
        true => Ok(()),
        false => file.write(&block::added(&file.content, shell)),
    });
    match added {
        Ok(()) => {
            facts.args.tell(&format!("Added. In this shell: {}", source(shell, &path, &shown)));
            Some(path)
        }
        Err(why) => {
            facts.args.tell(&format!("Not added: {why}."));
            None
        }
    }
}

/// The command that reads an rc file in a running shell.
fn source(shell: Shell, path: &Path, shown: &str) -> String {
    let is_plain = shown.strip_prefix("~/").is_some_and(|rest| shell_word(Path::new(rest)) == rest);
    let word = if is_plain { shown.to_owned() } else { shell_word(path) };
    match shell {
        Shell::Bash | Shell::Zsh => format!(". {word}"),
        Shell::Fish => format!("source {word}"),
    }
}
