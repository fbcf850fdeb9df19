//! What a set-up will do, once nothing is left to ask.

use serde_json::Value;
use zeroize::Zeroizing;

use super::sources::entries::Entries;
use super::sources::from_settings::Removal;
use super::token::{Choice, TokenPlace};
use crate::config::TokenSource;

/// Everything that a set-up will do.
#[derive(Default)]
pub struct Decision {
    /// What to write.
    pub entries: Entries,
    /// What to store.
    pub stores: Vec<Store>,
    /// Aliases to check at the end.
    pub checks: Vec<String>,
    /// Accounts that were configured before: something may be held for them.
    pub accounts: Vec<String>,
    /// What the user is to delete.
    pub removals: Vec<Removal>,
    /// What a Monitoring Spec said, for `--json`.
    pub found: Value,
}

/// A token to store.
pub struct Store {
    /// Whose: the account's name.
    pub account: String,
    /// The token's user.
    pub user: String,
    /// The token.
    pub token: Zeroizing<String>,
    /// Where to.
    pub place: TokenPlace,
}

impl Decision {
    /// Notes what is to be stored; where the token will come from.
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
