//! The tokens that a set-up has stored. Where the set-up then fails, they are taken back, or named.

use super::ask;
use super::decision::Store;
use super::dialogue::Stop;
use super::facts::Facts;
use super::sources::keychain::{Keychain, forget};
use super::sources::token_file::{self, Written};
use super::token::{self, TokenPlace};
use crate::config::edit;
use crate::system::error::plain;

/// The tokens stored so far, in order.
#[derive(Default)]
pub struct Stored(Vec<Kept>);

/// A stored token: the account, where it is, and how it is taken back.
struct Kept {
    account: String,
    place: String,
    back: Back,
}

/// How a token is taken back.
enum Back {
    /// The file that was there before returns.
    File(Written),
    /// The keychain has replaced what it had. This command deletes its entry.
    Keychain(Option<String>),
}

impl Stored {
    /// Stores a token and returns where it is. Where the keychain fails, the user may choose a file instead.
    pub fn add(&mut self, store: &Store, facts: &Facts<'_>) -> Result<TokenPlace, Stop> {
        let Store { account, user, token, place } = store;
        let place = match place {
            TokenPlace::File(_) => place.clone(),
            TokenPlace::Keychain(keychain) => match keychain.store(account, user, token, facts.environment) {
                Ok(()) => {
                    let back = Back::Keychain(forget(&keychain.lookup(account, user)));
                    self.0.push(Kept { account: account.clone(), place: keychain.name().to_owned(), back });
                    return Ok(place.clone());
                }
                Err(why) => TokenPlace::File(instead_of(keychain, &why, account, facts)?),
            },
        };
        if let TokenPlace::File(path) = &place {
            let shown = edit::directory_key(path, facts.environment);
            let why = |error| Stop::usage(format!("the token can't be written to {shown}: {}", plain(&error)));
            let back = Back::File(token_file::write(path, token).map_err(why)?);
            self.0.push(Kept { account: account.clone(), place: shown, back });
        }
        Ok(place)
    }

    /// The set-up is written: the tokens stay. Returns a line for each.
    pub fn keep(self) -> String {
        self.0
            .iter()
            .map(|Kept { account, place, .. }| format!("Stored: the token of account {account}, in {place}\n"))
            .collect()
    }

    /// The set-up has failed with `stop`: takes the tokens back. What can't be taken back is named.
    pub fn take_back(self, stop: Stop) -> Stop {
        let left = self.0.into_iter().rev().filter_map(|Kept { account, place, back }| match back {
            Back::File(written) => {
                let error = written.take_back().err()?;
                Some(format!("the token of account {account} in {place} is the new one ({})", plain(&error)))
            }
            Back::Keychain(forget) => {
                let remove = forget.map_or_else(String::new, |command| format!("; to remove it: {command}"));
                Some(format!("the token of account {account} in {place} is the new one{remove}"))
            }
        });
        let left: Vec<String> = left.collect();
        if left.is_empty() { stop } else { Stop::Partly { why: Box::new(stop), left } }
    }
}

/// The file that the user chooses where the keychain has failed.
fn instead_of(keychain: &Keychain, why: &str, account: &str, facts: &Facts<'_>) -> Result<std::path::PathBuf, Stop> {
    let why = format!("{} did not store the token: {why}", keychain.name());
    let file = token::default_file(facts, account);
    facts.args.tell(&why);
    let shown = edit::directory_key(&file, facts.environment);
    if !ask::can_ask(facts.args.yes) {
        return Err(Stop::usage(format!("{why}; --store file keeps it in a file")));
    }
    let question = format!("Keep it in a file that only you can read ({shown})?");
    if !ask::confirm(&question, "", true)? {
        return Err(Stop::Cancelled);
    }
    Ok(file)
}
