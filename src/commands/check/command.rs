//! `act check`: asks ACT whether endpoint, token and alias are correct, without a session and without sending metrics.

use anstyle::Style;
use serde_json::json;

use super::{Checked, copies};
use crate::commands::check::{self, Finding, Subject};
use crate::commands::configured;
use crate::commands::here::{Here, is_here};
use crate::config::resolve::{self, Directory, Explicit};
use crate::config::{self, Loaded, token};
use crate::system::environment::Environment;
use crate::system::exit::{CONFIGURATION, ExitCode, USAGE};
use crate::text::page;

/// Arguments of `act check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The alias; without it the one of this directory
    name: Option<String>,
    /// Every configured alias
    #[arg(long, conflicts_with = "name")]
    all: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// The exit statuses, the worst first, as for `--verify`.
const WORST_FIRST: [u8; 5] = [65, 77, 78, 75, 69];

/// Runs the command. Exit status 0 where credential or alias were shown to be good, 69 where nothing was shown, otherwise the status
/// that `--verify` would give. Of several aliases, the worst status counts, and that of a copy only where ACT has no problem. 64 for
/// an unknown alias, 78 for a faulty configuration.
pub fn run(args: &Args, environment: &Environment) -> ExitCode {
    let loaded = config::load(environment);
    let subjects = match subjects(args, &loaded, environment) {
        Ok(subjects) => subjects,
        Err((code, messages)) => {
            messages.iter().for_each(|message| crate::run::report::fatal(message));
            return ExitCode::from(code);
        }
    };
    let findings = check::run_all(&subjects, environment, token::fetch_shown);
    let copies = copies::run_all(&subjects, &loaded, environment);
    if args.json {
        let json = |findings: &[Finding]| findings.iter().map(Finding::json).collect::<Vec<_>>();
        crate::commands::print_json(&json!({ "checks": json(&findings), "copies": json(&copies) }));
    } else {
        let (width, home) = (page::width(), environment.home());
        let here = Here::of(environment, &loaded.config);
        let is_marked = |finding: &Finding| match &finding.checked {
            Checked::Alias { name, .. } => is_here(here.as_ref(), name),
            Checked::Copy { .. } => false,
        };
        let shown = |finding: &Finding| finding.text(width, home.as_deref(), is_marked(finding));
        let mut text = findings.iter().chain(&copies).map(shown).collect::<Vec<_>>().join("\n");
        let legend = here.as_ref().filter(|_| findings.iter().any(is_marked));
        if let Some(legend) = legend.and_then(Here::legend) {
            text.push('\n');
            page::hang(&mut text, 2, width, Style::new(), &legend);
        }
        let _ = page::write(&mut anstream::stdout(), &text);
    }
    ExitCode::from(code(&findings, &copies))
}

/// The exit status: that of a problem at ACT; without one, that of a copy's; without any, whether something was shown (pure).
fn code(findings: &[Finding], copies: &[Finding]) -> u8 {
    let worst = |codes: Vec<u8>| WORST_FIRST.into_iter().find(|code| codes.contains(code));
    let problems = |findings: &[Finding]| {
        let stopped = findings.iter().filter(|finding| finding.problem.is_some());
        worst(stopped.map(|finding| finding.code).collect())
    };
    let all = || worst(findings.iter().map(|finding| finding.code).collect());
    problems(findings).or_else(|| problems(copies)).or_else(all).unwrap_or(0)
}

/// The aliases to check, or an exit status with the reasons.
fn subjects<'a>(
    args: &Args,
    loaded: &'a Loaded,
    environment: &Environment,
) -> Result<Vec<Subject<'a>>, (u8, Vec<String>)> {
    let config = &loaded.config;
    let faults = || loaded.faults.iter().map(ToString::to_string).collect();
    let needs_all = args.all || config.aliases.is_empty();
    if loaded.general_fault().is_some() || (needs_all && loaded.has_faults_of_aliases()) {
        return Err((CONFIGURATION, faults()));
    }
    if config.aliases.is_empty() {
        return Err((CONFIGURATION, vec!["no alias is configured: act-claude act setup".to_owned()]));
    }
    let subject = |name: &str| Subject::of(config, name).into_iter();
    if args.all {
        return Ok(config.aliases.keys().flat_map(|name| subject(name)).collect());
    }
    let name = match &args.name {
        Some(name) => match configured::unusable(config, name) {
            None => name.clone(),
            Some((code, why)) => return Err((code, vec![why])),
        },
        None => {
            let directory = std::env::current_dir().unwrap_or_default();
            let place = Directory::of(&directory, environment, config);
            let explicit = Explicit::of(None, environment);
            let resolution = resolve::resolve(explicit, config, &place).map_err(|no| (USAGE, vec![no.message]))?;
            resolution.alias.ok_or_else(|| {
                let message =
                    format!("this directory has no alias ({}): act-claude act check NAME, or --all", resolution.reason);
                (CONFIGURATION, vec![message])
            })?
        }
    };
    Ok(subject(&name).collect())
}
