//! What git says of the levels of a directory that are tops of working trees, as far as a rule by repository needs it.

use std::path::Path;

use super::directory::{Identity, Level};
use crate::config::Config;
use crate::git;
use crate::git::address::{Address, NoAddress};
use crate::git::checkout::{self, Unusable};
use crate::git::remote::Remote;
use crate::system::environment::Environment;

/// The top of a repository's working tree: the remote that it is a clone of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkingTree {
    /// Its address.
    Remote(Address),
    /// It has no remote.
    NoRemote,
    /// It has several remotes, and none of them is `origin`.
    Several(Vec<String>),
    /// The remote's URL is no address.
    NoAddress(NoAddress),
    /// Git's files can't be used.
    Unusable(Unusable),
}

/// Reads what git says of the levels. Those from the first one on that a directory rule names are not asked for: that rule decides.
pub(super) fn read(levels: &mut [Level], rules: &[Option<Identity>], environment: &Environment, config: &Config) {
    let is_named = |level: &Level| rules.contains(&Some(level.identity));
    let asked = levels.iter().position(is_named).unwrap_or(levels.len());
    let paths = levels[..asked].iter().map(|level| (level.path.as_path(), Some(level.identity.0)));
    for (top, checkout) in checkout::above(paths, environment) {
        let tree = checkout.map_or_else(WorkingTree::Unusable, |checkout| of(&checkout, environment, config));
        // `GIT_WORK_TREE` may name a directory that this one is not in.
        let index = levels[..asked].iter().position(|level| level.path == top).unwrap_or(0);
        if let Some(level) = levels[..asked].get_mut(index) {
            level.tree = Some(tree);
        }
    }
}

fn of(checkout: &checkout::Checkout, environment: &Environment, config: &Config) -> WorkingTree {
    match git::remote(checkout, environment) {
        Err(unusable) => WorkingTree::Unusable(unusable),
        Ok(Remote::None) => WorkingTree::NoRemote,
        Ok(Remote::Several(names)) => WorkingTree::Several(names),
        Ok(Remote::Url(url)) => {
            address(&url, &checkout.top, config).map_or_else(WorkingTree::NoAddress, WorkingTree::Remote)
        }
    }
}

/// The address of a remote's URL, with the names of hosts that the configuration gives.
pub fn address(url: &[u8], top: &Path, config: &Config) -> Result<Address, NoAddress> {
    Address::of(url, top, |host| config.hosts.get(host).map(|host| host.value.clone()))
}
