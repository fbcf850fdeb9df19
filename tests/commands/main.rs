//! The commands under `act-claude act`.

#[path = "../support/mod.rs"]
mod support;

mod changes;
mod check;
mod demo;
mod docs;
mod doctor;
mod fleet;
mod history;
mod lists;
mod picture;
mod reference;
mod setup_dialogue;
mod setup_settings;
mod setup_spec;
mod setup_token;
mod setup_values;
mod setup_yes;
mod shell;
mod uninstall;
