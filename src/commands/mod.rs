//! The commands under `act-claude act`: one file or folder each.

mod aliases;
pub mod check;
pub mod complete;
mod demo;
pub mod doctor;
mod flush;
mod here;
mod history;
mod logs;
mod progress;
mod receive;
pub mod setup;
mod shell_init;
mod statusline;
mod uninstall;
mod r#use;
mod which;

use std::ffi::{OsStr, OsString};

use clap::{CommandFactory, Parser, Subcommand};

use crate::claude::enclosing;
use crate::plan::flags::FLAGS;
use crate::system::environment::Environment;
use crate::system::exit::ExitCode;
use crate::text::{page, printable};

/// `act-claude act`.
#[derive(Debug, Parser)]
#[command(
    name = "act-claude act",
    bin_name = "act-claude act",
    display_name = "act-claude", // printed before the version
    version = env!("ACT_CLAUDE_VERSION"),
    about = "Claude Code with Agent Control Tower: act-claude's own commands",
    after_help = starting_claude()
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Account, alias and token: from questions, a Monitoring Spec, or existing settings
    Setup(Box<setup::Args>),
    /// The alias for this directory, and why
    Which(which::Args),
    /// This directory, or with --repo the repository, uses an alias
    Use(r#use::Args),
    /// The configured aliases, and which directories use them; adds and removes them
    Aliases(aliases::Args),
    /// Check endpoint, token and alias with ACT, without a session and without sending metrics
    Check(check::Args),
    /// Find problems that keep sessions from being reported, each with its fix
    Doctor(doctor::Args),
    /// What recent sessions delivered; what is waiting or held
    History(history::Args),
    /// Deliver what is waiting or held, now
    Flush(flush::Args),
    /// Alias and delivery state, for Claude Code's status line
    Statusline(statusline::Args),
    /// Claude's debug log, the lines about telemetry only, explained
    Logs(logs::Args),
    /// A local ACT that shows what arrives, with the documented errors, for experiments
    Receive(receive::Args),
    /// Demonstrate the whole path on this machine, without an account
    Demo(demo::Args),
    /// What to put in the shell's rc file: the alias claude=act-claude, and completion
    ShellInit(shell_init::Args),
    /// Remove act-claude's files from this machine, and list what you have to remove yourself
    Uninstall(uninstall::Args),
}

impl Command {
    /// Whether the command changes the configuration or stored exports, or sends requests to ACT. Such a command does not run
    /// where the environment can't be trusted.
    fn needs_trust(&self) -> bool {
        match self {
            Self::Setup(_) | Self::Use(_) | Self::Check(_) | Self::Flush(_) | Self::Uninstall(_) => true,
            Self::Aliases(args) => args.changes(),
            Self::Which(_) | Self::Doctor(_) | Self::History(_) | Self::Statusline(_) | Self::Logs(_) => false,
            Self::Receive(_) | Self::Demo(_) | Self::ShellInit(_) => false,
        }
    }
}

/// The help text about starting claude, shown after the list of commands.
fn starting_claude() -> String {
    let flags: String = FLAGS
        .iter()
        .map(|flag| {
            let name = [flag.name, flag.value.unwrap_or_default()].join(" ");
            let also = flag.variable.map(|variable| format!("(also {variable})")).unwrap_or_default();
            format!("  {}\n", format!("{name:<14}  {:<41}  {also}", flag.about).trim_end())
        })
        .collect();
    format!(
        "Starting claude: act-claude [FLAGS] [claude's own arguments] [FLAGS]\n{flags}\n\
         Everything else is claude's: act-claude --help shows claude's help."
    )
}

/// The definitions of all commands, for completion and documentation.
pub fn commands() -> clap::Command {
    let mut command = Cli::command();
    command.build();
    command
}

/// Runs the command that `args` name.
pub fn run(args: &[OsString], environment: &Environment) -> ExitCode {
    if args.first().is_some_and(|first| first == crate::relay::protocol::RELAY_COMMAND) {
        return crate::relay::run(environment.clone(), &args[1..]);
    }
    if args.first().is_some_and(|first| first == crate::rehearsal::demo::stand_in::COMMAND) {
        return crate::rehearsal::demo::stand_in::run(&args[1..], environment);
    }
    if args.first().is_some_and(|first| first == complete::COMMAND) {
        return complete::run(&args[1..], environment);
    }
    let line = std::iter::once(OsString::from("act-claude act")).chain(args.iter().cloned());
    let cli = match Cli::try_parse_from(line) {
        Ok(cli) => cli,
        Err(error) => {
            let text = error.render().ansi().to_string();
            let _ = if error.use_stderr() {
                page::write(&mut anstream::stderr(), &text)
            } else {
                page::write(&mut anstream::stdout(), &text)
            };
            return ExitCode::from(if error.use_stderr() { crate::system::exit::USAGE } else { 0 });
        }
    };
    // Where act-claude runs inside a claude, that claude's settings may have changed any variable of the environment.
    let environment = &enclosing::trusted_environment(&mut environment.clone());
    if let Some(why) = environment.doubt().everything.as_ref().filter(|_| cli.command.needs_trust()) {
        crate::run::report::fatal(why);
        return ExitCode::from(crate::system::exit::USAGE);
    }
    match cli.command {
        Command::Setup(args) => setup::run(&args, environment),
        Command::Which(args) => which::run(&args, environment),
        Command::Aliases(args) => aliases::run(&args, environment),
        Command::Check(args) => check::run(&args, environment),
        Command::Doctor(args) => doctor::run(&args, environment),
        Command::History(args) => history::run(&args, environment),
        Command::Flush(args) => flush::run(&args, environment),
        Command::Logs(args) => logs::run(&args, environment),
        Command::Receive(args) => receive::run(&args),
        Command::ShellInit(args) => shell_init::run(&args),
        Command::Statusline(args) => statusline::run(&args, environment),
        Command::Uninstall(args) => uninstall::run(&args, environment),
        Command::Use(args) => r#use::run(&args, environment),
        Command::Demo(args) => demo::run(&args, environment),
    }
}

/// Prints act-claude's own `--help` or `--version`, where there is no claude that would print its own. Returns whether it was
/// printed.
pub fn answer(flag: &OsStr) -> bool {
    let flag = if flag == "--version" || flag == "-v" { "--version" } else { "--help" };
    Cli::try_parse_from(["act-claude act", flag]).is_err_and(|error| error.print().is_ok())
}

/// Prints lines for people to standard output. A pipe without a reader is no error.
pub(crate) fn print(text: &str) -> ExitCode {
    print_as_is(&printable::lines(text))
}

/// Prints JSON on one line, with terminal control characters escaped.
pub(crate) fn print_json(value: &serde_json::Value) -> ExitCode {
    print_as_is(&format!("{}\n", printable::json(&value.to_string())))
}

/// Prints text without escaping. Only for text that comes from the user or is escaped already.
fn print_as_is(text: &str) -> ExitCode {
    use std::io::Write;
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            crate::run::report::fatal(&format!("cannot write: {}", crate::system::error::plain(&error)));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
