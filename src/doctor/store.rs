//! What act-claude keeps on this machine.

use super::{Facts, Finding};
use crate::shell_word;

pub fn findings(facts: &Facts) -> Vec<Finding> {
    state(facts).into_iter().collect()
}

fn state(facts: &Facts) -> Option<Finding> {
    let why = facts.no_state.as_ref()?;
    let directory = facts.state.as_ref()?;
    let word = shell_word(directory);
    Some(
        Finding::new("state", why.clone(), directory.display().to_string())
            .effect("what sessions send can't be kept here: it is lost when ACT can't be reached at once")
            .fix("make it yours alone, and writable")
            .command(format!("mkdir -p {word} && chmod 700 {word}")),
    )
}
