//! `act doctor`: everything that would keep sessions from being reported, each problem with its fix.

use crate::commands::doctor::{self, Facts};
use crate::system::environment::Environment;
use crate::system::exit::ExitCode;
use crate::text::page;

/// Arguments of `act doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command. Exit status 0 where there are no findings, otherwise 1.
pub fn run(args: &Args, environment: &Environment) -> ExitCode {
    let findings = doctor::diagnose(&Facts::gather(environment));
    if args.json {
        crate::commands::print_json(&doctor::json(&findings));
    } else {
        let _ = page::write(&mut anstream::stdout(), &doctor::text(&findings, page::width()));
    }
    ExitCode::from(u8::from(!findings.is_empty()))
}
