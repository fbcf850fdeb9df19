//! `act complete`, a hidden command: the scripts in shell/ run it at each TAB.

use std::ffi::OsString;

use crate::commands::complete::{self, Names};
use crate::config;
use crate::system::environment::Environment;
use crate::system::exit::ExitCode;

/// The hidden command.
pub const COMMAND: &str = "complete";

/// Runs `act complete -- WORD… CURSOR`: WORD… are the words before the cursor, without the command's own name, and CURSOR is the
/// part of a word that is typed already. Faults of the configuration are not reported here; other commands do that.
pub fn run(args: &[OsString], environment: &Environment) -> ExitCode {
    let args = if args.first().is_some_and(|first| first == "--") { &args[1..] } else { args };
    let Some((cursor, words)) = args.split_last() else { return ExitCode::from(crate::system::exit::USAGE) };
    let config = config::load(environment).config;
    let names = Names {
        aliases: config.aliases.iter().map(|(name, alias)| (name.clone(), format!("{} {}", alias.account, alias.id))),
        accounts: config.accounts.iter().map(|(name, account)| (name.clone(), account.user.clone())),
    };
    crate::commands::print_for_programs(&complete::answer(words, cursor, names, crate::commands::commands).to_string())
}
