//! `act doctor`: everything that would keep sessions from being reported, each problem with its fix; and what was looked at.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::private::Private;
use super::{findings, looked_at};
use crate::commands::doctor::{self, Facts};
use crate::system::environment::Environment;
use crate::system::error::plain;
use crate::system::exit::{ExitCode, USAGE};
use crate::system::file;
use crate::text::page;
use crate::text::printable;
use crate::text::shell::shell_word;

/// Arguments of `act doctor`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 no problem was found, 1 there are problems, 64 the file of --bundle can't be written."
)]
pub struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Also write everything into a new file for a support ticket: without secrets, e-mail addresses and ids, ~ for the home
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    bundle: Option<PathBuf>,
}

/// Runs the command. Exit status 0 where there are no findings, otherwise 1; 64 where the bundle can't be written.
pub fn run(args: &Args, environment: &Environment) -> ExitCode {
    let facts = Facts::gather(environment);
    let found = doctor::diagnose(&facts);
    let private = Private::of(&facts);
    let rows = looked_at::rows(&facts, &private);
    let block = looked_at::json(&rows);
    if let Some(file) = &args.bundle {
        // The findings name files, accounts and aliases.
        let findings: Vec<_> = found.iter().map(|finding| private.removed_from(finding)).collect();
        if let Err(why) = write(file, &json!({ "looked_at": block, "findings": findings::json(&findings) })) {
            crate::run::report::fatal(&why);
            return ExitCode::from(USAGE);
        }
    }
    if args.json {
        crate::commands::print_json(&json!({ "findings": findings::json(&found), "looked_at": block }));
    } else {
        let width = page::width();
        let home = environment.home();
        let mut text = doctor::text(&found, width, home.as_deref());
        text.push('\n');
        text.push_str(&looked_at::text(&rows, width));
        if let Some(file) = &args.bundle {
            text.push('\n');
            let shown = private.removed(&file.display().to_string());
            let words = format!("Written: {shown}. Read it before you send it.");
            page::hang(&mut text, 2, width, anstyle::Style::new(), &words);
        }
        let _ = page::write(&mut anstream::stdout(), &text);
    }
    ExitCode::from(u8::from(!found.is_empty()))
}

/// Writes the bundle into a file that does not exist yet, and that only the user can read.
fn write(file: &Path, bundle: &Value) -> Result<(), String> {
    let word = shell_word(file);
    let refuse = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            format!("--bundle: {} exists already: name a new file, or: rm {word}", file.display())
        }
        _ => format!("--bundle: {} can't be written ({}): name another file", file.display(), plain(&error)),
    };
    let text = serde_json::to_string_pretty(bundle).map_err(|error| error.to_string())?;
    // Line by line: a line break is no character that has to be escaped here.
    let lines = text.lines().map(|line| format!("{}\n", printable::json(line)));
    file::create_whole(file, lines.collect::<String>().as_bytes()).map_err(refuse)
}
