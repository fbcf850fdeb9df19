//! The texts of the rehearsal, and its result as JSON (pure).

use std::fmt::Write;
use std::path::Path;

use anstyle::Style;
use serde_json::{Value, json};

use super::check::{DemoRun, fault};
use super::claude::Claude;
use super::compare::{self, Used};
use super::sandbox::DemoDirectory;
use super::session::Launch;
use crate::rehearsal::receiver::log_line::Page;
use crate::rehearsal::receiver::{Event, Export, Fail, Receiver};
use crate::text::page::{BOLD, DIM, GREEN, RED, hang, wrap};
use crate::text::paths;
use crate::text::table::{Table, cell, styled, words};

/// The introduction: claude, ACT, and the directories.
pub fn introduction(
    claude: &Claude,
    receiver: &Receiver,
    fail: Option<Fail>,
    places: &[DemoDirectory],
    width: usize,
) -> String {
    let mut text = String::new();
    for line in wrap(
        "A rehearsal: two directories, two accounts, and a local ACT. Nothing leaves this machine, and nothing stays on it.",
        width,
    ) {
        let _ = writeln!(text, "{line}");
    }
    text.push('\n');
    let mut field = |name: &str, value: String| {
        for (index, line) in wrap(&value, width.saturating_sub(10)).iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            let _ = writeln!(text, "  {DIM}{name:<6}{DIM:#}  {line}");
        }
    };
    field(
        "claude",
        match claude {
            Claude::Real(path) => format!("{}, the real one; a stand-in answers for the model", path.display()),
            Claude::StandIn(why) => why.clone(),
        },
    );
    field(
        "ACT",
        match fail.and_then(|fail| fail.answer(None, 1)).map(|answer| answer.status()) {
            None => format!("http://{}", receiver.address()),
            Some(None) => format!("http://{}, which never answers", receiver.address()),
            Some(Some(200)) => format!("http://{}, which rejects points of every export", receiver.address()),
            Some(Some(status)) => format!("http://{}, which answers {status} to every export", receiver.address()),
        },
    );
    let mut table = Table::new(["Directory", "Alias", "Id", "Account"].map(words));
    for DemoDirectory { directory, alias, id, account, .. } in places {
        table.row(false, [cell(directory), styled(alias, BOLD), cell(id), cell(account)]);
    }
    let _ = writeln!(text, "\n{}", table.text(width));
    text
}

/// Claude's reply, the report, and what ACT received.
pub fn outcome(session: &Launch, received: &[Export], page: &Page) -> String {
    let mut text = String::new();
    if let Some(Used { tokens, cost, .. }) = &session.used {
        let _ = writeln!(text, "{} {DIM}({tokens} tokens, {} USD){DIM:#}", session.reply, compare::money(*cost));
    }
    if !session.errors.is_empty() {
        let _ = writeln!(text, "{}", session.errors);
    }
    if let Some(line) = session.line() {
        hang(&mut text, 2, page.width, BOLD, &line);
    }
    let _ = writeln!(text, "{DIM}ACT received:{DIM:#}");
    if received.is_empty() {
        let _ = writeln!(text, "  nothing");
    }
    for export in received {
        text.push_str(&page.event(&Event::Export(Box::new(export.clone()))));
    }
    text.push('\n');
    text
}

/// The result of the rehearsal.
pub fn conclusion(runs: &[DemoRun<'_>], fail: Option<Fail>, claude: &Claude, wrong: &[String], width: usize) -> String {
    let mut text = String::new();
    if !wrong.is_empty() {
        let head = match fail {
            None => "What arrived is not what was sent:",
            Some(_) => "The failure does not show as designed:",
        };
        let _ = writeln!(text, "{RED}{head}{RED:#}");
        for word in wrong {
            for (index, line) in wrap(word, width.saturating_sub(4)).iter().enumerate() {
                let _ = writeln!(text, "  {} {line}", if index == 0 { "-" } else { " " });
            }
        }
        if matches!(claude, Claude::Real(_)) && runs.iter().any(|run| fault(run).is_some()) {
            let _ = writeln!(text, "The same without the real claude: act-claude act demo --stand-in");
        }
        return text;
    }
    if fail.is_some() {
        for run in runs {
            text.push_str(&explanation(run.session.report.as_ref().unwrap_or(&Value::Null), width));
        }
        let words = "The failure shows as designed; claude's work and exit status were not affected.";
        hang(&mut text, 0, width, GREEN, words);
        return text;
    }
    let sum = |key: &str| -> u64 { runs.iter().filter_map(|run| run.session.report.as_ref()?[key].as_u64()).sum() };
    let tokens: u64 = runs.iter().filter_map(|run| Some(run.session.used.as_ref()?.tokens)).sum();
    let words = format!(
        "All that claude sent has arrived, under the right alias: {} sessions, {} exports, {} points, {tokens} tokens.",
        runs.len(),
        sum("exports"),
        sum("points"),
    );
    hang(&mut text, 0, width, GREEN, &words);
    text.push('\n');
    for (when, command) in [("when ACT fails", "act-claude act demo --fail 401"), ("for real", "act-claude act setup")]
    {
        // A command is not wrapped, so that it can be copied.
        let _ = match 16 + command.len() <= width {
            true => writeln!(text, "{DIM}{when:<14}{DIM:#}  {command}"),
            false => writeln!(text, "{DIM}{when}{DIM:#}\n  {command}"),
        };
    }
    text
}

/// The state, cause and fix of a report, a line each.
fn explanation(report: &Value, width: usize) -> String {
    let state = match report["state"].as_str().unwrap_or_default() {
        "held" => "held: kept on this machine, and sent after it is corrected",
        "waiting" => "waiting: kept on this machine, and tried again",
        "rejected" => "rejected: kept on this machine, and not sent again",
        "partial" => "partial: not sent again, ACT has the rest",
        "under_way" => "under way: continues in the background; claude did not wait for it",
        other => other,
    };
    let or = |key: &str, otherwise: &'static str| {
        let text = report[key].as_str().filter(|text| !text.is_empty());
        text.unwrap_or(otherwise).to_owned()
    };
    let mut text = String::new();
    let mut field = |name: &str, style: Style, value: &str| {
        for (index, line) in wrap(value, width.saturating_sub(9)).iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            let _ = writeln!(text, "  {DIM}{name:<5}{DIM:#}  {style}{line}{style:#}");
        }
    };
    field("state", Style::new(), state);
    field("cause", Style::new(), &or("cause", "ACT has not answered yet"));
    let no_fix = match report["state"].as_str() {
        Some("partial") => "none known: ACT's answer is above",
        _ => "none needed: it is tried again automatically",
    };
    field("fix", BOLD, &or("fix", no_fix));
    text.push('\n');
    text
}

/// The result as JSON.
pub fn report(claude: &Claude, fail: Option<Fail>, runs: &[DemoRun<'_>], wrong: &[String]) -> Value {
    let executable: Option<&Path> = match claude {
        Claude::Real(path) => Some(path),
        Claude::StandIn(_) => None,
    };
    let sessions: Vec<Value> = runs
        .iter()
        .map(|DemoRun { place, session, received }| {
            json!({
                "directory": place.directory, "alias": place.alias, "id": place.id, "account": place.account_id,
                "report": session.report,
                "received": received.iter().map(crate::rehearsal::receiver::json::export).collect::<Vec<_>>(),
            })
        })
        .collect();
    let fail = fail.and_then(|fail| clap::ValueEnum::to_possible_value(&fail).map(|value| value.get_name().to_owned()));
    json!({ "claude": executable.map(paths::to_text), "fail": fail, "sessions": sessions, "wrong": wrong })
}
