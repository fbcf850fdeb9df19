//! The commands under `act-claude act`: one file or folder each.

mod aliases;
pub mod check;
mod clones;
pub mod complete;
mod configured;
mod demo;
pub mod doctor;
mod flush;
pub mod help;
mod here;
mod history;
mod logs;
mod progress;
mod rc;
mod receive;
pub mod setup;
mod shell_init;
mod statusline;
mod uninstall;
mod usage;
mod r#use;
mod which;

use std::ffi::{OsStr, OsString};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::claude::enclosing;
use crate::system::environment::Environment;
use crate::system::exit::ExitCode;
use crate::text::{home, locale, page, printable};

/// `act-claude act`.
#[derive(Debug, Parser)]
#[command(
    name = "act-claude act",
    bin_name = "act-claude act",
    display_name = "act-claude", // printed before the version
    version = env!("ACT_CLAUDE_VERSION"),
    about = "Claude Code with Agent Control Tower: act-claude's own commands"
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
    /// Check endpoint, token and alias with ACT, and the receivers of copies, without a session and without sending metrics
    Check(check::Args),
    /// Find problems that keep sessions from being reported, each with its fix
    Doctor(doctor::Args),
    /// What recent sessions delivered; what is waiting or held
    History(history::Args),
    /// Cost and tokens of days, aliases, models, repositories; what of it ACT has
    Usage(usage::Args),
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
            Self::Receive(_) | Self::Demo(_) | Self::ShellInit(_) | Self::Usage(_) => false,
        }
    }
}

/// The definitions of all commands, for completion and documentation.
pub fn commands() -> clap::Command {
    let mut command = help::dressed(Cli::command());
    command.build();
    command
}

/// Reads a command line, without the program's name.
fn parse(args: &[OsString]) -> Result<Cli, clap::Error> {
    let line = std::iter::once(OsString::from("act-claude act")).chain(args.iter().cloned());
    Cli::from_arg_matches(&help::dressed(Cli::command()).try_get_matches_from(line)?)
}

/// Says why clap did not accept a command line, or prints the help that was asked for.
fn answer_of(error: &clap::Error, args: &[OsString]) -> ExitCode {
    use clap::error::ErrorKind;
    let text = format!("{}\n", error.render().ansi().to_string().trim_end());
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = page::write(&mut anstream::stdout(), &text);
            return ExitCode::SUCCESS;
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = page::write(&mut anstream::stderr(), &text);
        }
        _ => crate::run::report::fatal(&help::refusal(error, command_of(args))),
    }
    ExitCode::from(crate::system::exit::USAGE)
}

/// The name of the command that `args` call, if there is one of that name.
fn command_of(args: &[OsString]) -> Option<&str> {
    let name = args.first()?.to_str()?;
    help::GROUPS.iter().flat_map(|(_, names)| names.iter()).any(|known| *known == name).then_some(name)
}

/// The sentence for a command line that is refused.
#[cfg(test)]
fn refused(line: &str) -> Option<String> {
    let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
    Some(help::refusal(&parse(&args).err()?, command_of(&args)))
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
    let cli = match parse(args) {
        Ok(cli) => cli,
        Err(error) => return answer_of(&error, args),
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
        Command::Usage(args) => usage::run(&args, environment),
        Command::Use(args) => r#use::run(&args, environment),
        Command::Demo(args) => demo::run(&args, environment),
    }
}

/// Prints act-claude's own `--help` or `--version`, where there is no claude that would print its own. Returns whether it was
/// printed.
pub fn answer(flag: &OsStr) -> bool {
    let flag = if flag == "--version" || flag == "-v" { "--version" } else { "--help" };
    let args = [OsString::from(flag)];
    parse(&args).is_err_and(|error| answer_of(&error, &args) == ExitCode::SUCCESS)
}

/// Prints lines for people to standard output, with `~` for the home directory. A pipe without a reader is no error.
pub(crate) fn print(text: &str) -> ExitCode {
    print_for_programs(&locale::shown(&home::shortened(text, page::home().as_deref())))
}

/// Prints lines that a program reads as they are: a shell.
fn print_for_programs(text: &str) -> ExitCode {
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
