//! `act setup --account NAME`: decides on a new token, or another user of it, for an account that is configured.

use super::sources::entries::{AccountEntry, Entries};
use crate::config::typed::user::is_mail;
use crate::config::{Account, TokenSource};

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

/// Decides on the new token, and on its user: ACT does not say which of the two is wrong.
pub fn decide(facts: &Facts<'_>, dialogue: &mut Dialogue<'_>) -> Result<Decision, Stop> {
    let name = facts.args.account.as_deref().unwrap_or_default();
    let config = &facts.loaded.config;
    let account = config.account(name).map_err(|why| Stop::usage(format!("--account: {why}")))?;
    if facts.args.user.is_none() {
        dialogue.tell(format!("The token's user in account {name} is {}.", account.user));
    }
    let choice = choice(facts, dialogue, name, account)?;
    let (user, endpoint) =
        account::user(facts, dialogue, name, Some(account), choice.user(), account.endpoint.clone())?;
    account::mail(facts, &user)?;
    let is_known = facts.args.user.is_some() || choice.user().is_some_and(is_mail);
    // Where a flag gives the token, as in a script, the user that was just shown stays.
    let is_scripted = facts.args.token_stdin || token::from_flags(facts)?.is_some();
    let user = match is_known || is_scripted || !dialogue.can_ask() {
        true => user,
        false => account::ask_user(dialogue, Some(&user))?,
    };
    let claude = places::claude(facts, dialogue)?;
    dialogue.complete()?;
    let mut decision = Decision { accounts: vec![name.to_owned()], ..Decision::default() };
    let source = decision.token(choice, name, &user);
    if source != account.token || user != account.user {
        let accounts = vec![AccountEntry { name: name.to_owned(), endpoint, user, token: source }];
        decision.entries = Entries { accounts, ..Entries::default() };
    }
    decision.entries.claude = claude;
    let own = config.aliases.iter().filter(|(_, alias)| alias.account == name);
    decision.checks = own.map(|(alias, _)| alias.clone()).collect();
    Ok(decision)
}

/// The choice for the token.
fn choice(facts: &Facts<'_>, dialogue: &mut Dialogue<'_>, name: &str, account: &Account) -> Result<Choice, Stop> {
    if let Some(source) = token::from_flags(facts)? {
        return Ok(Choice::Source(source));
    }
    let wants_place = facts.args.store.is_some();
    match token::place_of(facts, name, account).filter(|_| !wants_place) {
        Some(place) => {
            let is_kept = !facts.args.token_stdin && facts.with_token.contains(name);
            match is_kept {
                // Only the user is to be changed.
                true if facts.args.user.is_some() && !dialogue.can_ask() => Ok(Choice::Source(account.token.clone())),
                true => token::renew(facts, dialogue, name, place, &account.token),
                false => token::store(facts, dialogue, name, place),
            }
        }
        None if wants_place || facts.args.token_stdin => {
            match token::choose_place(facts, dialogue, name, facts.args.token_stdin)? {
                Ok(place) => token::store(facts, dialogue, name, place),
                Err(source) => Ok(Choice::Source(source)),
            }
        }
        None => {
            let origin = match &account.token {
                TokenSource::Command(argv) => {
                    format!("The token of account {name} comes from `{}`: renew it there.", argv.join(" "))
                }
                TokenSource::Env(variable) => {
                    format!("The token of account {name} comes from the variable {variable}: set a new value there.")
                }
                TokenSource::File(path) => format!("The token of account {name} is in {}.", path.display()),
            };
            if dialogue.can_ask() {
                let ask = format!("{origin} Keep it elsewhere?");
                if dialogue.confirm(&Question { ask: &ask, help: "", flag: "" }, false)? {
                    return match token::choose_place(facts, dialogue, name, false)? {
                        Ok(place) => token::store(facts, dialogue, name, place),
                        Err(source) => Ok(Choice::Source(source)),
                    };
                }
            } else {
                dialogue.tell(origin);
            }
            Ok(Choice::Source(account.token.clone()))
        }
    }
}
