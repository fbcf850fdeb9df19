//! `act setup --account NAME`: decides on a new token for an account that is configured.

use super::sources::entries::{AccountEntry, Entries};
use crate::config::TokenSource;
use crate::config::typed;
use crate::config::typed::user::is_mail;

use super::Args;
use super::account;
use super::decision::Decision;
use super::dialogue::{Dialogue, Question, Stop};
use super::facts::Facts;
use super::places;
use super::token::{self, Choice};

/// Whether the flags name only an account.
pub fn is_requested(args: &Args) -> bool {
    let others = [&args.endpoint, &args.id, &args.provider_type, &args.name];
    args.account.is_some()
        && args.spec.is_none()
        && others.iter().all(|other| other.is_none())
        && args.directories.is_empty()
        && !args.default
}

/// Decides on the new token.
pub fn decide(facts: &Facts<'_>, dialogue: &mut Dialogue<'_>) -> Result<Decision, Stop> {
    let name = facts.args.account.as_deref().unwrap_or_default();
    let config = &facts.loaded.config;
    let account = config.account(name).map_err(|why| Stop::usage(format!("--account: {why}")))?;
    let choice = match token::from_flags(facts)? {
        Some(source) => Choice::Source(source),
        None => match token::place_of(facts, name, account).filter(|_| facts.args.store.is_none()) {
            Some(place) => token::store(facts, dialogue, name, place)?,
            None if facts.args.store.is_some() || facts.args.token_stdin => {
                match token::choose_place(facts, dialogue, name, facts.args.token_stdin)? {
                    Ok(place) => token::store(facts, dialogue, name, place)?,
                    Err(source) => Choice::Source(source),
                }
            }
            None => {
                dialogue.tell(&match &account.token {
                    TokenSource::Command(argv) => {
                        format!("The token of account {name} comes from `{}`: renew it there.", argv.join(" "))
                    }
                    TokenSource::Env(variable) => {
                        format!(
                            "The token of account {name} comes from the variable {variable}: set a new value there."
                        )
                    }
                    TokenSource::File(path) => format!("The token of account {name} is in {}.", path.display()),
                });
                Choice::Source(account.token.clone())
            }
        },
    };
    let mut user = account.user.clone();
    if let Some(given) = &facts.args.user {
        user = typed::user::read(given).map_err(|why| Stop::usage(format!("--user: it {why}")))?.value;
        account::mail(facts, &user)?;
    } else if let Some(other) = choice.user().filter(|other| is_mail(other) && !other.eq_ignore_ascii_case(&user)) {
        let other =
            typed::user::read(other).map_err(|why| Stop::usage(format!("the credential's user: it {why}")))?.value;
        let ask = format!("The credential is {other}'s, account {name} is {user}'s. Change the account?");
        let flag = format!("--user {other}: the credential is {other}'s, account {name} is {user}'s");
        dialogue.agree(&Question { ask: &ask, help: "", flag: &flag }, true)?;
        user = other;
    }
    let claude = places::claude(facts, dialogue)?;
    dialogue.complete()?;
    let mut decision = Decision { accounts: vec![name.to_owned()], ..Decision::default() };
    let source = decision.token(choice, name, &user);
    if source != account.token || user != account.user {
        let endpoint = account.endpoint.clone();
        let accounts = vec![AccountEntry { name: name.to_owned(), endpoint, user, token: source }];
        decision.entries = Entries { accounts, ..Entries::default() };
    }
    decision.entries.claude = claude;
    let own = config.aliases.iter().filter(|(_, alias)| alias.account == name);
    decision.checks = own.map(|(alias, _)| alias.clone()).collect();
    Ok(decision)
}
