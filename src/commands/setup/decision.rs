//! What a set-up will do, decided once all answers are there.

use serde_json::Value;
use zeroize::Zeroizing;

use super::sources::entries::Entries;
use super::sources::from_settings::Removal;
use super::token::{Choice, TokenPlace};
use crate::config::TokenSource;

/// Everything that a set-up will do.
#[derive(Default)]
pub struct Decision {
    /// The entries to write into the configuration.
    pub entries: Entries,
    /// The tokens to store.
    pub stores: Vec<Store>,
    /// Aliases to check at the end.
    pub checks: Vec<String>,
    /// Accounts that were configured before, for which exports may be held.
    pub accounts: Vec<String>,
    /// What the user has to delete from settings files.
    pub removals: Vec<Removal>,
    /// The values found in a Monitoring Spec, for `--json`.
    pub found: Value,
}

/// A token to store.
pub struct Store {
    /// The account's name.
    pub account: String,
    /// The token's user.
    pub user: String,
    /// The token.
    pub token: Zeroizing<String>,
    /// Where to store it.
    pub place: TokenPlace,
}

impl Decision {
    /// Adds the token to those to store, where it is to be stored. Returns the source from which the token will be fetched.
    pub fn token(&mut self, choice: Choice, account: &str, user: &str) -> TokenSource {
        match choice {
            Choice::Source(source) => source,
            Choice::Store(credential, place) => {
                let source = place.source(account, user);
                let (account, user) = (account.to_owned(), user.to_owned());
                self.stores.push(Store { account, user, token: credential.token, place });
                source
            }
        }
    }
}
