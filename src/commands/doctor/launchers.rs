//! Findings about the launcher through which claude starts background sessions and editors' sessions.

use super::facts::Launcher;
use super::{Check, Facts, Finding};
use crate::claude::settings::LayerKind;

pub const CHECKS: [Check; 1] = [launchers];

fn launchers(facts: &Facts) -> Vec<Finding> {
    facts.launchers.iter().filter(|launcher| !launcher.is_ours).map(|launcher| finding(facts, launcher)).collect()
}

fn finding(facts: &Facts, launcher: &Launcher) -> Finding {
    let path = launcher.path.display();
    let place = match &launcher.named_by {
        Some((_, file, key)) => facts.place(file, key),
        None => "CLAUDE_CODE_PROCESS_WRAPPER in the environment".to_owned(),
    };
    let finding = if launcher.is_there {
        Finding::new("launcher", format!("background sessions are started by {path}"), place)
            .effect("act-claude does not see them: they are not reported")
    } else {
        Finding::new(
            "launcher-gone",
            format!("background sessions are to be started by {path}, which is not there"),
            place,
        )
        .effect("they do not start at all")
    };
    match &launcher.named_by {
        None => {
            finding.fix("remove the variable: act-claude sets it itself").command("unset CLAUDE_CODE_PROCESS_WRAPPER")
        }
        Some((LayerKind::Managed, file, key)) => {
            finding.fix(format!("ask whoever manages {} to remove {key}, or to name act-claude there", file.display()))
        }
        Some((_, file, key)) => finding.fix(format!("remove {key} from {}: act-claude sets it itself", file.display())),
    }
}
