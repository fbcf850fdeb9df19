//! Names, before a `--verify` session, the other claude processes and the alias that each reports under.

use std::path::Path;

use crate::claude::ancestry;
use crate::claude::processes::{Process, Role, Under, running};
use crate::config::Config;
use crate::plan::line::Line;
use crate::state::record;
use crate::system::environment::Environment;

/// How many processes are named one by one.
const NAMED: usize = 10;

/// Names the claude processes that do not report under `alias`; nothing is done to them.
pub fn lines(
    alias: &str,
    config: &Config,
    claude: &Path,
    environment: &Environment,
    state: Option<&Path>,
) -> Vec<Line> {
    let above = ancestry::pids();
    let others: Vec<String> = running(Some(claude), environment)
        .iter()
        .filter(|process| !above.contains(&process.pid))
        .filter_map(|process| {
            let record = state.and_then(|state| record::of_command(state, &[process.pid]));
            describe(process, alias, config, record.and_then(|record| record.alias).as_deref())
        })
        .collect();
    let more = others.len().saturating_sub(NAMED);
    let mut lines: Vec<Line> =
        others.into_iter().take(NAMED).map(|text| Line::configuration(format!("running: {text}"))).collect();
    if more > 0 {
        lines.push(Line::configuration(format!("running: and {more} more")));
    }
    if !lines.is_empty() {
        let text =
            "their exports are counted under their own configuration: end them if ACT should show only this session";
        lines.push(Line::configuration(text.to_owned()));
    }
    lines
}

/// "claude 4711 in /home/x/web: started without act-claude"; `None` where it reports under `alias`, too.
fn describe(process: &Process, alias: &str, config: &Config, recorded: Option<&str>) -> Option<String> {
    let is_daemon = process.role == Role::Daemon;
    let how = match (process.under(), recorded) {
        (_, Some(name)) if name == alias => return None,
        (_, Some(name)) => format!("reports under {name}"),
        (Under::Relay, None) if is_daemon => return None,
        (Under::Relay, None) => "started by act-claude, under an alias not known yet".to_owned(),
        (Under::Alias(id), None) => match config.aliases.iter().find(|(_, alias)| alias.id == id) {
            Some((name, _)) if name == alias => return None,
            Some((name, _)) => format!("reports under {name}, without act-claude"),
            None => format!("reports under the alias id {id}, without act-claude"),
        },
        (Under::Nothing, None) => "started without act-claude".to_owned(),
    };
    let what = if is_daemon { "the background daemon" } else { "claude" };
    let place = process.directory.display();
    let effect = if is_daemon { "; agents it starts report the same way" } else { "" };
    Some(format!("{what}, pid {} in {place}: {how}{effect}", process.pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_named_with_what_it_reports_under() {
        let process = |role, environment: &[(&str, &str)]| Process {
            pid: 7,
            role,
            directory: "/w".into(),
            environment: environment.iter().copied().collect(),
        };
        let config = Config::default();
        let describe = |process: &Process, recorded| super::describe(process, "billing", &config, recorded);
        let bare = process(Role::Session, &[]);
        assert_eq!(describe(&bare, None).unwrap(), "claude, pid 7 in /w: started without act-claude");
        assert_eq!(describe(&bare, Some("billing")), None);
        assert_eq!(describe(&bare, Some("web")).unwrap(), "claude, pid 7 in /w: reports under web");
        let recipe = [
            ("CLAUDE_CODE_ENABLE_TELEMETRY", "1"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://x"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "X-Alias-Id=id-9"),
        ];
        let daemon = process(Role::Daemon, &recipe);
        let expected = "the background daemon, pid 7 in /w: reports under the alias id id-9, without act-claude; agents it starts report the same way";
        assert_eq!(describe(&daemon, None).unwrap(), expected);
    }
}
