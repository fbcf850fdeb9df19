//! The commands under `act-claude act`.

#[path = "../support/mod.rs"]
mod support;

mod setup_dialogue;
mod setup_settings;
mod setup_spec;
mod setup_token;

mod changes;
mod check;
mod doctor;
mod history;
mod shell;
mod uninstall;
