//! `act setup --account NAME`: a new token for an account that is configured.

use crate::commands::setup::sources::credential;
use crate::commands::setup::sources::entries::{AccountEntry, Entries};
use crate::config::TokenSource;
use crate::text::nearest::nearest;

use super::ask::{Asker, Question, Stop};
use super::finish::Gathered;
use super::token::{self, Choice};
use super::{Args, Setup};

/// Whether only an account is named.
pub fn is_meant(args: &Args) -> bool {
    let others = [&args.endpoint, &args.id, &args.provider_type, &args.name];
    args.account.is_some()
        && args.spec.is_none()
        && others.iter().all(|other| other.is_none())
        && args.directories.is_empty()
        && !args.default
}

/// Finds out the new token.
pub fn gather(setup: &Setup<'_>, asker: &mut Asker) -> Result<Gathered, Stop> {
    let name = setup.args.account.as_deref().unwrap_or_default();
    let config = &setup.loaded.config;
    let Some(account) = config.accounts.get(name) else {
        let known: Vec<&str> = config.accounts.keys().map(String::as_str).collect();
        let hint = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("to add it: act-claude act setup --account {name} --spec FILE"),
        };
        return Err(Stop::Usage(vec![format!("there is no account \"{name}\": {hint}")]));
    };
    let choice = match token::from_flags(setup)? {
        Some(source) => Choice::Source(source),
        None => match token::place_of(setup, name, account).filter(|_| setup.args.store.is_none()) {
            Some(place) => token::store(setup, asker, name, place)?,
            None if setup.args.store.is_some() || setup.args.token_stdin => {
                match token::where_to(setup, asker, name)? {
                    Ok(place) => token::store(setup, asker, name, place)?,
                    Err(source) => Choice::Source(source),
                }
            }
            None => {
                setup.tell(&match &account.token {
                    TokenSource::Command(argv) => {
                        format!("The token of account {name} comes from `{}`: renew it there.", argv.join(" "))
                    }
                    TokenSource::Env(variable) => {
                        format!("The token of account {name} comes from the variable {variable}: set it anew.")
                    }
                    TokenSource::File(path) => format!("The token of account {name} is in {}.", path.display()),
                });
                Choice::Source(account.token.clone())
            }
        },
    };
    let mut user = account.user.clone();
    if let Some(given) = &setup.args.user {
        user = credential::user(given).map_err(|why| Stop::Usage(vec![format!("--user: {why}")]))?;
    } else if let Some(other) = choice.user().filter(|other| *other != user).map(str::to_owned) {
        let ask = format!("The credential is {other}'s, account {name} is {user}'s. Change the account?");
        let flag = format!("--user {other}: the credential is {other}'s, account {name} is {user}'s");
        if !asker.confirm(&Question { ask: &ask, help: "", flag: &flag }, true)? {
            return Err(Stop::Cancelled);
        }
        user = other;
    }
    asker.complete()?;
    let mut gathered = Gathered { accounts: vec![name.to_owned()], ..Gathered::default() };
    let source = gathered.token(choice, name, &user);
    if source != account.token || user != account.user {
        let endpoint = account.endpoint.clone();
        let accounts = vec![AccountEntry { name: name.to_owned(), endpoint, user, token: source }];
        gathered.entries = Entries { accounts, ..Entries::default() };
    }
    let own = config.aliases.iter().filter(|(_, alias)| alias.account == name);
    gathered.checks = own.map(|(alias, _)| alias.clone()).collect();
    Ok(gathered)
}
