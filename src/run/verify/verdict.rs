//! The verdict of relay, log and settings together (pure).

use std::path::Path;
use std::time::SystemTime;

use serde_json::json;

use super::Evidence;
use crate::claude::conflict::{Conflict, Effect};
use crate::claude::debug_log::Sign;
use crate::delivery::cause::{self, Whose};
use crate::delivery::verdict::{Answer, Failure, Verdict, judge};
use crate::plan::line::{Importance, Line};
use crate::run::summary::Report;
use crate::state::outcome::{Problem, State};
use crate::text::paths;

/// The basis of a verdict, besides the log.
#[derive(Debug, Clone, Copy)]
pub struct Basis<'a> {
    /// The account and the alias that the exports belong to.
    pub whose: Whose<'a>,
    /// Conflicts that no overlay overrides.
    pub conflicts: &'a [&'a Conflict],
}

/// How many signs are quoted.
const QUOTED: usize = 6;

/// Adds the log's evidence to the relay's report, and the cause where nothing arrived.
pub fn extend(report: &mut Report, evidence: &Evidence, basis: &Basis<'_>) {
    let alias = basis.whose.alias;
    if report.state == State::NothingSent {
        let (cause, fix) = why_nothing(evidence, basis);
        report.lines.push(line(format!("{alias}: {cause}{}", behind(&fix))));
        report.json["cause"] = json!(cause);
        report.json["fix"] = json!(fix);
    }
    finish(report, evidence, alias, true);
}

/// The verdict where only the log shows the result (direct delivery).
pub fn of_log(evidence: &Evidence, basis: &Basis<'_>, seconds: f64) -> Report {
    let Whose { alias, account, .. } = basis.whose;
    let (state, text, cause, fix, verify_code) = if let Some(why) = evidence.failure() {
        let (state, problem) = match verdict_of(why) {
            Some(verdict) => cause::explain(&verdict, &basis.whose),
            None => (State::Rejected, None),
        };
        let fix = "run it without --direct: the relay knows ACT's answers".to_owned();
        let unknown = || Problem { said: why.to_owned(), cause: String::new(), fix, code: 65 };
        let problem = problem.unwrap_or_else(unknown);
        let text = format!("claude's log shows: an export failed: {}", problem.said);
        (state, text, problem.cause, problem.fix, problem.code)
    } else if evidence.timed_out() {
        let text = "claude stopped waiting for its last export: ACT did not answer in time".to_owned();
        (State::Waiting, text, "ACT or the network is slow".to_owned(), "run it again without --direct".to_owned(), 75)
    } else if evidence.first_delivered() {
        let text = "claude's log shows: the first export was accepted; later ones and rejected points are not observed";
        (State::Delivered, text.to_owned(), String::new(), String::new(), 0)
    } else if evidence.obstacle().is_some() || (evidence.path.is_some() && evidence.lines == evidence.anthropic) {
        let (cause, fix) = why_nothing(evidence, basis);
        (State::NothingSent, "claude's log shows that it sent nothing".to_owned(), cause, fix, 69)
    } else {
        let text = match evidence.path {
            Some(_) => "not observed: claude's log proves neither success nor failure".to_owned(),
            None => "not observed: there is no log of claude".to_owned(),
        };
        let fix = "run it without --direct: the relay knows ACT's answers".to_owned();
        (State::NotObserved, text, String::new(), fix, 69)
    };
    let advice = match (cause.is_empty(), fix.is_empty()) {
        (true, _) => behind(&fix),
        (false, _) => format!(". {cause}{}", behind(&fix)),
    };
    let json = json!({
        "alias": alias, "account": account, "state": state, "text": text, "cause": cause, "fix": fix, "seconds": seconds,
    });
    let lines = vec![line(format!("{alias}: {text}{advice}"))];
    let mut report = Report { state, lines, json, verify_code, success: state == State::Delivered };
    finish(&mut report, evidence, alias, false);
    report
}

/// Quotes the log, and names its file.
fn finish(report: &mut Report, evidence: &Evidence, alias: &str, relayed: bool) {
    let explain = |sign: &Sign| match sign {
        // The relay answered it, not ACT.
        Sign::FirstDelivered if relayed => Some("act-claude's relay accepted the first export".to_owned()),
        sign => sign.explain(),
    };
    let explained: Vec<String> = evidence.signs.iter().filter_map(explain).collect();
    report.json["log"] = json!({
        "file": evidence.path.as_deref().map(paths::to_text),
        "lines": evidence.lines,
        "says": evidence.signs.iter().map(|sign| json!({"sign": sign.word(), "text": explain(sign)})).collect::<Vec<_>>(),
        "about_anthropic": evidence.anthropic,
    });
    // Omits what the verdict itself says.
    let is_new = |text: &String| !report.lines.iter().any(|line| line.text.contains(text.as_str()));
    let new: Vec<String> = explained.into_iter().filter(is_new).take(QUOTED).collect();
    report.lines.extend(new.into_iter().map(|text| line(format!("{alias}: log: {text}"))));
    if evidence.anthropic > 0 {
        let text = Sign::Anthropic.explain().unwrap_or_default();
        report.lines.push(line(format!("{alias}: log: {} lines {text}", evidence.anthropic)));
    }
    let text = match &evidence.path {
        Some(path) if evidence.lines > 0 => format!("claude's log, explained: act-claude act logs {}", name(path)),
        Some(path) => format!("claude's log says nothing about telemetry: {}", path.display()),
        None => {
            let why = evidence.no_log.as_deref().unwrap_or("claude did not write one into a file");
            format!("there is no log: {why}")
        }
    };
    report.lines.push(line(format!("{alias}: {text}")));
}

/// The name by which `act logs` finds a log: short for our own ones.
fn name(log: &Path) -> String {
    let is_own = log.parent().is_some_and(|directory| directory.ends_with("act-claude/logs"));
    let name = if is_own { log.file_stem().map(Path::new) } else { None };
    name.unwrap_or(log).display().to_string()
}

/// Why claude sent nothing: the reason in its log, and the setting that explains it.
fn why_nothing(evidence: &Evidence, basis: &Basis<'_>) -> (String, String) {
    let obstacle = evidence.obstacle();
    let is_cause = |conflict: &&&Conflict| match obstacle {
        Some(Sign::Off { .. }) => conflict.effect == Effect::Off,
        Some(Sign::NotStarted { .. }) => conflict.effect == Effect::Interval,
        Some(Sign::Dropped { by, .. }) => conflict.key.ends_with(by.as_str()),
        _ => conflict.breaks() || conflict.effect == Effect::Helper,
    };
    let conflict = basis.conflicts.iter().find(is_cause);
    let said = match obstacle {
        Some(sign) => sign.explain().unwrap_or_default(),
        None if evidence.lines > evidence.anthropic => "claude's log shows no failed export".to_owned(),
        None if evidence.path.is_some() => "claude's log says nothing about its exporter".to_owned(),
        None => "there is no log that shows why".to_owned(),
    };
    match conflict {
        Some(conflict) => (format!("{said}; {}: {conflict}", conflict.place()), conflict.fix()),
        None => (said, "act-claude act doctor".to_owned()),
    }
}

/// The verdict that claude's words for a failed export stand for.
fn verdict_of(why: &str) -> Option<Verdict> {
    let statuses = [
        ("Bad Request", 400),
        ("Unauthorized", 401),
        ("Forbidden", 403),
        ("Not Found", 404),
        ("Proxy Authentication Required", 407),
        ("Too Many Requests", 429),
        ("Service Unavailable", 503),
    ];
    let now = SystemTime::UNIX_EPOCH;
    if let Some((_, status)) = statuses.iter().find(|(phrase, _)| why == *phrase) {
        return Some(judge(Ok(&Answer { status: *status, ..Answer::default() }), 0, now));
    }
    let last = why.split_whitespace().last().unwrap_or_default();
    let failure = match why {
        why if why.contains("ECONNREFUSED") => Failure::Refused,
        why if why.contains("ENOTFOUND") => Failure::UnknownHost(last.to_owned()),
        why if why.contains("EAI_AGAIN") => Failure::NoNameServer(last.to_owned()),
        why if why.contains("ETIMEDOUT") || why.to_ascii_lowercase().contains("timeout") => Failure::TimedOut,
        why if why.to_ascii_lowercase().contains("certificate") => Failure::Tls(why.to_owned()),
        why if why.contains("ECONNRESET") || why.contains("socket hang up") => Failure::Broken(why.to_owned()),
        _ => return None,
    };
    Some(judge(Err(&failure), 0, now))
}

fn behind(fix: &str) -> String {
    if fix.is_empty() { String::new() } else { format!(": {fix}") }
}

fn line(text: String) -> Line {
    Line { importance: Importance::Action, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(lines: &[&str]) -> Evidence {
        let mut evidence = Evidence { path: Some("/l.txt".into()), ..Evidence::default() };
        lines.iter().for_each(|line| evidence.take(line.as_bytes()));
        evidence
    }

    #[test]
    fn a_log_of_our_own_has_a_short_name() {
        for (path, shown) in [
            ("/h/.local/state/act-claude/logs/20260101T000000Z-7.txt", "20260101T000000Z-7"),
            ("/h/.claude/debug/3f1b.txt", "/h/.claude/debug/3f1b.txt"),
        ] {
            assert_eq!(name(Path::new(path)), shown);
        }
    }

    #[test]
    fn the_log_alone_proves_little() {
        let basis =
            Basis { whose: Whose { account: "acme", alias: "billing", endpoint: "https://x/y" }, conflicts: &[] };
        let started = r#"getOtlpReaders: types=["otlp"], interval=5000"#;
        for (lines, state, code) in [
            (&[][..], State::NothingSent, 69),
            (&["BigQuery metrics exported successfully"], State::NothingSent, 69),
            (&[started], State::NotObserved, 69),
            (&[started, "BigQuery metrics exported successfully"], State::NotObserved, 69),
            (&[started, "First metrics export: SUCCESS"], State::Delivered, 0),
            (
                &[
                    started,
                    "First metrics export: SUCCESS",
                    "metrics export failed (error OTLPExporterError: Unauthorized)",
                ],
                State::Held,
                77,
            ),
            (&[started, "First metrics export: FAILED (Not Found)"], State::Held, 78),
            (&[started, "First metrics export: FAILED (Bad Request)"], State::Rejected, 65),
            (&[started, "First metrics export: FAILED (what ever)"], State::Rejected, 65),
            (&[started, "First metrics export: FAILED (connect ECONNREFUSED 1.2.3.4:443)"], State::Waiting, 75),
            (&[started, "OpenTelemetry telemetry flush timed out after 2000ms"], State::Waiting, 75),
            (&["isTelemetryEnabled=false (CLAUDE_CODE_ENABLE_TELEMETRY=0)"], State::NothingSent, 69),
        ] {
            let report = of_log(&evidence(lines), &basis, 1.0);
            assert_eq!((report.json["state"].clone(), report.verify_code), (json!(state), code), "{lines:?}");
            assert_eq!(report.success, code == 0);
        }
        // Without a log nothing is claimed.
        let report = of_log(&Evidence { no_log: Some("why".to_owned()), ..Evidence::default() }, &basis, 1.0);
        assert_eq!((report.state, report.verify_code), (State::NotObserved, 69));
        assert!(report.lines.iter().any(|line| line.text.ends_with("there is no log: why")), "{:?}", report.lines);
    }
}
