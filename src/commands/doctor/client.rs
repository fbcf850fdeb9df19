//! Findings about the installed claude and act-claude.

use super::{Check, Facts, Finding};
use crate::claude::version::Version;
use crate::text::shell::shell_word;

/// The first version of claude that starts its background sessions through a configured launcher.
const SUPPORTS_LAUNCHERS: Version = Version::new(2, 1, 208);
/// Versions of claude that export nothing where there are many resource attributes (anthropics/claude-code#71447).
const LIMITED_ATTRIBUTES: std::ops::RangeInclusive<Version> = Version::new(2, 1, 161)..=Version::new(2, 1, 191);
/// The most resource attributes with which those versions still export, including the ones that claude adds itself.
const MOST_ATTRIBUTES: usize = 12;
/// The number of resource attributes that claude adds itself.
const OWN_ATTRIBUTES: usize = 6;

/// Installs Claude Code.
const INSTALL: &str = "curl -fsSL https://claude.ai/install.sh | bash";

pub const CHECKS: [Check; 6] = [
    |facts| missing(facts).into_iter().collect(),
    |facts| windows(facts).into_iter().collect(),
    |facts| looping(facts).into_iter().collect(),
    |facts| several(facts).into_iter().collect(),
    |facts| old(facts).into_iter().collect(),
    |facts| many_attributes(facts).into_iter().collect(),
];

fn missing(facts: &Facts) -> Option<Finding> {
    let error = facts.claude.as_ref().err()?;
    let place = facts.environment.path("PATH");
    let place = place.map_or("PATH is not set".to_owned(), |path| format!("PATH={}", path.display()));
    let finding = |place: String| {
        Finding::new("claude-missing", error.message.clone(), place).effect("act-claude has nothing to start")
    };
    Some(match (facts.environment.path("ACT_CLAUDE_BIN"), &facts.loaded.config.claude) {
        (Some(_), _) => finding("ACT_CLAUDE_BIN in the environment".to_owned())
            .fix("unset it, so that act-claude searches PATH, or name the real claude")
            .command("unset ACT_CLAUDE_BIN"),
        (None, Some(named)) => {
            finding(named.origin.to_string()).fix("name the real claude there, or remove \"claude\"")
        }
        (None, None) => {
            let (what, fix) = parts(&error.message);
            let finding = Finding { what: what.to_owned(), ..finding(place) };
            match fix {
                Some(fix) if !fix.starts_with("install ") => finding.fix(fix),
                _ => finding
                    .fix("install Claude Code; if it is installed already, put its directory on PATH")
                    .command(INSTALL),
            }
        }
    })
}

/// A message of `locate`: what is wrong, and what to do.
fn parts(message: &str) -> (&str, Option<&str>) {
    let at = [": install ", ": set ", ": put "].iter().find_map(|start| message.find(start));
    at.map_or((message, None), |at| (&message[..at], Some(&message[at + 2..])))
}

/// In WSL the PATH of Windows is part of PATH. A program of Windows gets no variables of Linux, and 127.0.0.1 is another machine for it.
fn windows(facts: &Facts) -> Option<Finding> {
    let client = facts.claude.as_ref().ok().filter(|client| client.is_windows)?;
    Some(
        Finding::new("windows-claude", "claude is a program of Windows", client.path.display().to_string())
            .effect("it does not get act-claude's variables and can't reach its relay: nothing is reported")
            .fix("install Claude Code in this Linux, before Windows' directories on PATH")
            .command(INSTALL),
    )
}

fn looping(facts: &Facts) -> Option<Finding> {
    let client = facts.claude.as_ref().ok().filter(|client| client.loops)?;
    let finding = Finding::new(
        "loop",
        "the claude that act-claude would start is a script that starts act-claude",
        client.path.display().to_string(),
    )
    .effect(match &client.other {
        Some(_) => {
            "it is started first and starts act-claude again, which then uses the next claude: each start takes longer"
        }
        None => "they would start each other; act-claude refuses that, and claude does not run",
    });
    Some(match &client.other {
        Some(real) => finding
            .fix("name the real claude (to stay: \"claude\" in the configuration), or remove the script")
            .command(format!("export ACT_CLAUDE_BIN={}", shell_word(real))),
        None => finding.fix("install Claude Code, and name it with ACT_CLAUDE_BIN or \"claude\" in the configuration"),
    })
}

fn several(facts: &Facts) -> Option<Finding> {
    let [first, others @ ..] = &facts.act_claudes[..] else { return None };
    if others.is_empty() {
        return None;
    }
    let shown: Vec<String> = others.iter().map(|path| path.display().to_string()).collect();
    let words: Vec<String> = others.iter().map(|path| shell_word(path)).collect();
    Some(
        Finding::new("several-act-claude", "there are several different act-claude on PATH", shown.join(", "))
            .effect(format!("{} is started; upgrading another one has no effect", first.display()))
            .fix("remove what you do not use")
            .command(format!("rm {}", words.join(" "))),
    )
}

fn old(facts: &Facts) -> Option<Finding> {
    let client = facts.claude.as_ref().ok()?;
    let version = client.version.filter(|version| *version < SUPPORTS_LAUNCHERS)?;
    Some(
        Finding::new(
            "old-client",
            format!("claude {version} is older than {SUPPORTS_LAUNCHERS}"),
            client.path.display().to_string(),
        )
        .effect("its background sessions are all reported under the alias that started its daemon, or not at all")
        .fix("update Claude Code")
        .command("claude update"),
    )
}

fn many_attributes(facts: &Facts) -> Option<Finding> {
    let client = facts.claude.as_ref().ok()?;
    let version = client.version.filter(|version| LIMITED_ATTRIBUTES.contains(version))?;
    let name = facts.resolution.as_ref().ok()?.alias.as_ref()?;
    let alias = facts.loaded.config.aliases.get(name)?;
    let own = facts.environment.text("OTEL_RESOURCE_ATTRIBUTES").map_or(0, |list| list.split(',').count());
    let count = alias.resource_attributes().len() + own + OWN_ATTRIBUTES;
    (count > MOST_ATTRIBUTES).then(|| {
        Finding::new(
            "many-attributes",
            format!("claude {version} exports nothing with more than about {MOST_ATTRIBUTES} resource attributes"),
            alias.origin.to_string(),
        )
        .effect(format!("with alias {name} there are {count}: claude exports no metrics"))
        .fix("update Claude Code, or give the alias fewer attributes")
        .command("claude update")
    })
}
