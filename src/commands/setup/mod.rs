//! `act setup`: account, alias and token, from a Monitoring Spec, from existing settings, or from questions.
//!
//! [`facts`] gathers what can be found out. [`alias`], [`renew`] and [`settings`] decide, then [`pipeline`], and ask where an answer
//! is missing ([`dialogue`]; pure). [`carry_out`] stores the token, writes the configuration and asks ACT. A set-up that ends before
//! [`carry_out`] has changed nothing.

mod account;
mod alias;
mod ask;
mod carry_out;
mod decision;
mod dialogue;
mod facts;
mod interrupted;
mod line;
mod naming;
mod pipeline;
mod places;
mod plain;
mod proof;
mod rc;
mod release;
mod renew;
mod screen;
mod secret;
mod settings;
pub mod sources;
mod spec;
mod stored;
mod token;

use std::ffi::OsString;
use std::path::PathBuf;

use decision::Decision;
use dialogue::{Dialogue, Stop};
use facts::Facts;

use crate::config::{self, Config, typed};
use crate::system::environment::Environment;
use crate::system::exit::{CONFIGURATION, ExitCode, USAGE};
use crate::text::{home, page};

/// Arguments of `act setup`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The token is asked for without echo, read from standard input, or comes from a command or a variable each time it is \
needed; it is never an argument. With --yes nothing is asked: what a question would propose is taken (the token in a \
file, this directory unless it is / or your home); a value that is missing or ambiguous ends with exit status 64, \
and nothing is written.")]
pub struct Args {
    /// The alias's Monitoring Spec (OpenAPI, JSON or YAML); - reads standard input
    #[arg(long, value_name = "FILE", conflicts_with = "from_settings")]
    spec: Option<PathBuf>,
    /// Read the documented recipe from Claude Code's settings
    #[arg(long, conflicts_with_all = ["endpoint", "id", "provider_type", "name", "default"])]
    from_settings: bool,
    /// The account; alone, or with --user: renew its token, or correct the token's user
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// The metrics URL, or the account id alone
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The e-mail of the token's user
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
    /// The alias id (extAccountAliasId)
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The provider type (providerType)
    #[arg(long, value_name = "TYPE")]
    provider_type: Option<String>,
    /// The alias's name on this machine: one word
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// A directory that uses it, with all below; can be repeated. With --from-settings: one to look into
    #[arg(long = "directory", value_name = "DIR")]
    directories: Vec<PathBuf>,
    /// Make it the default, for directories without a rule
    #[arg(long)]
    default: bool,
    /// Read the token from standard input
    #[arg(long, group = "token")]
    token_stdin: bool,
    /// A command that prints the token whenever it is needed
    #[arg(long, value_name = "COMMAND", group = "token")]
    token_command: Option<String>,
    /// A variable that holds the token
    #[arg(long, value_name = "NAME", group = "token")]
    token_env: Option<String>,
    /// A file that holds the token already (your own, mode 0600)
    #[arg(long, value_name = "FILE", group = "token")]
    token_file: Option<PathBuf>,
    /// Where to keep a token that was typed in or read
    #[arg(long, value_name = "WHERE", conflicts_with_all = ["token_command", "token_env", "token_file"])]
    store: Option<Store>,
    /// What happens with a metrics pipeline of your own
    #[arg(long, value_name = "WHAT")]
    own_pipeline: Option<pipeline::Flag>,
    /// Ask nothing; take what the questions propose
    #[arg(long, short)]
    yes: bool,
    /// Don't ask ACT and Boomi at the end
    #[arg(long)]
    no_check: bool,
    /// What was found and written, as JSON
    #[arg(long)]
    json: bool,
    /// Taken only to be refused: the usual message would repeat the token.
    #[arg(long = "token", hide = true, num_args = 0..=1)]
    token_argument: Option<Option<OsString>>,
}

/// Where a token is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Store {
    /// The operating system's keychain
    Keychain,
    /// A file that only you can read
    File,
}

impl Args {
    /// Refuses a token, and new names that can't be names. No message repeats them: they may be a token.
    fn check(&self, config: &Config) -> Result<(), Stop> {
        const NEVER: &str = "a token is never an argument, because other users can see arguments and the shell keeps them in its \
                             history: --token-stdin reads it, and without a flag it is asked for";
        if self.token_argument.is_some() {
            return Err(Stop::usage(format!("--token: {NEVER}")));
        }
        let account = self.account.as_ref().filter(|name| !config.accounts.contains_key(*name));
        let alias = self.name.as_ref().filter(|name| !config.aliases.contains_key(*name));
        for (flag, name) in [("--account", account), ("--name", alias)] {
            let Some(name) = name else { continue };
            typed::name::read(name).map_err(|why| Stop::usage(format!("{flag}: it {why}")))?;
        }
        Ok(())
    }

    /// Prints a sentence for the user, wrapped at words.
    fn tell(&self, words: &str) {
        let mut text = String::new();
        page::hang(&mut text, 2, page::width(), anstyle::Style::new(), &shown(words));
        self.say(&text);
    }

    /// Prints text for the user. With `--json` it goes to standard error, because standard output holds only the result.
    fn say(&self, text: &str) {
        let _ = if self.json {
            page::write(&mut anstream::stderr(), text)
        } else {
            page::write(&mut anstream::stdout(), text)
        };
    }
}

/// Words for the user, with `~` for the home directory.
fn shown(words: &str) -> String {
    home::shortened(words, page::home().as_deref())
}

/// Runs the command. Exit status 0, or that of the check at the end. 64 where something is missing or ambiguous, 78 where the
/// configuration has faults, 130 where the user cancelled.
pub fn run(args: &Args, environment: &Environment) -> ExitCode {
    let loaded = config::load(environment);
    if let Err(stop) = args.check(&loaded.config) {
        return end(args, stop);
    }
    // A configuration file that is named but does not exist is no fault: set-up will create it.
    let missing = config::user_file(environment).is_some_and(|path| !path.exists());
    let faults: Vec<_> = loaded.faults.iter().filter(|fault| !missing || fault.origin.offset().is_some()).collect();
    if !faults.is_empty() {
        faults.iter().for_each(|fault| crate::run::report::fatal(&fault.to_string()));
        return ExitCode::from(CONFIGURATION);
    }
    let done = Facts::gather(args, environment, &loaded)
        .and_then(|facts| carry_out::carry_out(&facts, decide_with_answers(&facts)?).map(ExitCode::from));
    done.unwrap_or_else(|stop| end(args, stop))
}

/// Repeats the decision, with one more answer each time, until no answer is missing.
fn decide_with_answers(facts: &Facts<'_>) -> Result<Decision, Stop> {
    if let Some((name, spec)) = &facts.spec {
        facts.args.say(&spec::shown(name, spec));
    }
    let can_ask = ask::can_ask(facts.args.yes);
    let (mut answers, mut shown) = (Vec::new(), 0);
    loop {
        let mut dialogue = Dialogue::new(can_ask, &answers).with_defaults(facts.args.yes);
        let decided = decide(facts, &mut dialogue);
        // Each run of the decision repeats the notes of the previous run, and may add some.
        dialogue.notes.iter().skip(shown).for_each(|note| facts.args.tell(note));
        shown = shown.max(dialogue.notes.len());
        match decided {
            Err(Stop::Ask(request)) => answers.push(ask::ask(&request)?),
            decided => return decided,
        }
    }
}

fn decide(facts: &Facts<'_>, dialogue: &mut Dialogue<'_>) -> Result<Decision, Stop> {
    let decision = if facts.args.from_settings {
        settings::decide(facts, dialogue)?
    } else if renew::is_requested(facts.args) {
        renew::decide(facts, dialogue)?
    } else {
        alias::decide(facts, dialogue)?
    };
    pipeline::decide(facts, dialogue, decision)
}

/// Prints why the set-up has ended and what it has changed, and returns the exit status.
fn end(args: &Args, stop: Stop) -> ExitCode {
    match stop {
        Stop::Partly { why, left } => {
            let changed = format!("the configuration was not changed, but {}", left.join(", and "));
            end_with(args, *why, &changed)
        }
        stop => end_with(args, stop, "nothing was changed"),
    }
}

fn end_with(args: &Args, stop: Stop, changed: &str) -> ExitCode {
    match stop {
        Stop::Cancelled => {
            crate::run::report::fatal(&format!("cancelled; {changed}"));
            ExitCode::from(130)
        }
        Stop::Terminal(why) => {
            crate::run::report::fatal(&format!("{changed}: {why}"));
            ExitCode::FAILURE
        }
        Stop::Usage(reasons) => refuse(changed, "", &reasons),
        Stop::Missing(flags) if args.yes => {
            refuse(changed, "; with --yes nothing is asked, so these are needed", &flags)
        }
        Stop::Missing(flags) => refuse(changed, &format!("; {}, so these are needed", ask::why_not()), &flags),
        Stop::Ask(request) => end_with(args, Stop::usage(request.ask), changed),
        Stop::Partly { .. } => end(args, stop),
    }
}

/// Prints the reasons for exit status 64, a line each.
fn refuse(changed: &str, why: &str, reasons: &[String]) -> ExitCode {
    let mut text = String::new();
    page::hang(&mut text, 0, page::width(), anstyle::Style::new(), &format!("act-claude: act setup: {changed}{why}:"));
    for reason in reasons {
        text.push_str("  ");
        page::hang(&mut text, 4, page::width(), anstyle::Style::new(), &shown(reason));
    }
    let _ = page::write(&mut anstream::stderr(), &text);
    ExitCode::from(USAGE)
}

#[cfg(test)]
mod tests;
