//! What git knows of a directory: its repository, the remote it was cloned from, and what is checked out.
//!
//! Only files are read, and no program is run: git may run others, which a repository's configuration names. Git's own rules
//! decide, and tests compare the results with git's. Two things are different on purpose: only files of the user or of root count,
//! and nothing is read without a limit.

pub mod address;
pub mod checkout;
mod condition;
mod entries;
mod excerpt;
pub mod head;
mod parameters;
pub mod remote;
mod system_file;
mod variables;
pub mod wildmatch;
pub mod worktree;

use checkout::{Checkout, Unusable};
use remote::Remote;

use crate::system::environment::Environment;

/// The remote that a repository is a clone of.
///
/// # Errors
///
/// A file of git's configuration can't be used.
pub fn remote(checkout: &Checkout, environment: &Environment) -> Result<Remote, Unusable> {
    Ok(Remote::of(&variables::of(checkout, environment)?))
}

#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;
