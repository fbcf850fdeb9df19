//! `act logs`: shows the lines about telemetry in claude's debug log, with explanations.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::claude::debug_log::{self, Sign, classify};
use crate::commands::here::shown;
use crate::config::typed::secret::missing_file;
use crate::run::report;
use crate::run::verify::{self, Follow};
use crate::state::{self, record};
use crate::system::environment::Environment;
use crate::system::error::plain;
use crate::system::exit::ExitCode;
use crate::text::{locale, printable};

/// Arguments of `act logs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Claude writes a debug log with `act-claude --verify`, `--debug` or `--debug-file`. Without SESSION the latest one is shown.")]
pub struct Args {
    /// Continue as the log grows, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Each line as a JSON object
    #[arg(long)]
    json: bool,
    /// A session's id (claude's, or act-claude's) or the beginning of it, a log's name, or a file
    session: Option<PathBuf>,
}

/// The time between two reads with `--follow`.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Runs the command. Exit status 1 where there is no such log.
pub fn run(args: &Args, environment: &Environment) -> ExitCode {
    let places = places(environment);
    let named = || {
        let begins = args.session.as_ref()?.to_str().filter(|begins| !begins.is_empty())?;
        record::log::find(&state::directory(environment)?, begins)
    };
    let Some(path) = find(&places, args.session.as_deref()).or_else(named) else {
        let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
        let what = match &args.session {
            Some(session) => format!("no log of {}", missing_file(&session.display().to_string())),
            None => "no log".to_owned(),
        };
        report::fatal(&format!("{what} in {}: act-claude --verify writes one", places.join(" or ")));
        return ExitCode::FAILURE;
    };
    let mut output = Output { out: std::io::stdout().lock(), json: args.json, gone: false };
    if !args.json && std::io::stdout().is_terminal() {
        output.line(&printable::line(&shown(&path, environment)));
    }
    let mut follow = Follow::new(&path, 0, debug_log::kept());
    loop {
        if let Err(error) = follow.read(&mut |line| output.show(line)) {
            report::fatal(&format!("{}: {}", missing_file(&path.display().to_string()), plain(&error)));
            return ExitCode::FAILURE;
        }
        if output.gone || output.out.flush().is_err() {
            return ExitCode::SUCCESS;
        }
        if !args.follow {
            follow.finish(&mut |line| output.show(line));
            return ExitCode::SUCCESS;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// The directories that may hold logs: act-claude's own, then claude's.
fn places(environment: &Environment) -> Vec<PathBuf> {
    let own = state::directory(environment).map(|state| verify::logs(&state));
    let wanted = environment.get("CLAUDE_CODE_DEBUG_LOGS_DIR").map(PathBuf::from).filter(|path| path.is_dir());
    own.into_iter().chain(wanted).chain(debug_log::own_directory(environment)).collect()
}

/// The latest log, or the latest one whose name starts with `session`.
fn find(places: &[PathBuf], session: Option<&Path>) -> Option<PathBuf> {
    if let Some(file) = session.filter(|session| session.is_file()) {
        return Some(file.to_path_buf());
    }
    let begins = session.map(|session| session.to_string_lossy().into_owned()).unwrap_or_default();
    let files = places.iter().flat_map(std::fs::read_dir).flatten().flatten();
    let logs = files.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let named = logs.filter(|entry| entry.file_name().to_string_lossy().starts_with(&begins));
    let written = |entry: &std::fs::DirEntry| entry.metadata().and_then(|metadata| metadata.modified());
    named.max_by_key(|entry| written(entry).unwrap_or(SystemTime::UNIX_EPOCH)).map(|entry| entry.path())
}

struct Output {
    out: std::io::StdoutLock<'static>,
    json: bool,
    /// Nobody reads standard output any more.
    gone: bool,
}

impl Output {
    fn show(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let sign = classify(&line);
        // The log does not show whether claude sent to a relay or to ACT.
        let explained = match sign {
            Sign::FirstDelivered => Some("the first export was accepted (by act-claude's relay, unless sent directly); ACT's answers: act-claude act history".to_owned()),
            _ => sign.explain(),
        };
        if self.json {
            let line = json!({"line": line, "sign": sign.word(), "explained": explained}).to_string();
            self.line(&printable::json(&line));
            return;
        }
        // A line may hold control characters, and the output may be a terminal.
        self.line(&printable::line(&line));
        if let Some(explained) = explained {
            self.line(&locale::shown(&format!("    → {explained}")));
        }
    }

    fn line(&mut self, text: &str) {
        self.gone |= writeln!(self.out, "{text}").is_err();
    }
}
