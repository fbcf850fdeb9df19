//! The commands under `act-claude act`.

#[path = "../support/mod.rs"]
mod support;

mod changes;
mod check;
mod doctor;
mod history;
mod setup_settings;
mod setup_spec;
mod setup_token;
mod shell;
mod uninstall;
