//! What a user installs from: packages for npm and Debian, the archive and its installation script, the formula. They are made
//! from the built program by the scripts in `shell/`, installed below directories of a test's own, used, upgraded and removed.

#[path = "../support/mod.rs"]
mod support;

mod archive;
mod debian;
mod documents;
mod formula;
mod npm;
mod others;
mod packages;
mod registry;
mod script;
mod script_refusals;
mod stub;
mod upgrade;
