//! Starts Claude Code under the Agent Control Tower (ACT) alias of the current directory.
//!
//! The top-level modules, from the highest layer down. Each imports only from those below it:
//!
//! - [`commands`]: a file or folder for each `act` command.
//! - [`mod@run`]: one session, from the decision to the report.
//! - [`relay`]: the relay process, and the protocol to it.
//! - [`plan`]: own flags, what is known before claude starts, and the decision how a run takes place (pure).
//! - [`rehearsal`]: a local ACT and the demonstration; no session uses it.
//! - [`delivery`]: everything between a stored export and ACT.
//! - [`usage`]: the ledger of what was used, and what ACT has of it.
//! - [`otlp`]: the metrics of an export: counted, repaired, redacted.
//! - [`claude`]: all that is known of Claude Code.
//! - [`config`]: the configuration, and which alias a directory has.
//! - [`git`]: what git knows of a directory; no program is run.
//! - [`state`]: what is kept on disk.
//! - [`launch`]: POSIX processes, signals and terminals; it knows nothing of ACT.
//! - [`text`], [`system`]: the lowest layer.

pub mod claude;
pub mod commands;
pub mod config;
pub mod delivery;
pub mod git;
pub mod launch;
pub mod otlp;
pub mod plan;
pub mod rehearsal;
pub mod relay;
pub mod run;
pub mod state;
pub mod system;
pub mod text;
pub mod usage;

use std::ffi::OsString;

use plan::flags::{self, Invocation};
use system::environment::Environment;
use system::exit::{ExitCode, USAGE};

/// The program: parse, run, exit status. The first of `arguments` is the program's own name.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    system::inherited::ignore_sigxfsz();
    let environment = Environment::capture();
    match flags::parse(arguments.into_iter().skip(1).collect(), claude::locate::is_executable) {
        Ok(Invocation::Act(args)) => commands::run(&args, &environment),
        Ok(Invocation::Launcher { claude, args }) => run::launcher::run(&claude, &args, environment),
        Ok(Invocation::Run { flags, args }) => run::run(&flags, &args, environment, commands::answer),
        Err(error) => {
            run::report::fatal(&error.to_string());
            ExitCode::from(USAGE)
        }
    }
}
