//! The commands under `act-claude act`.

#[path = "../support/mod.rs"]
mod support;

mod broken;
mod changes;
mod check;
mod check_address;
mod check_boomi;
mod check_copies;
mod copies;
mod demo;
mod docs;
mod doctor;
mod doctor_copies;
mod fleet;
mod history;
mod lists;
mod looks;
mod picture;
mod rc_file;
mod reference;
mod repositories;
mod setup_dialogue;
mod setup_pipeline;
mod setup_settings;
mod setup_spec;
mod setup_token;
mod setup_values;
mod setup_yes;
mod shell;
mod statusline;
mod uninstall;
mod usage;
mod usage_page;
mod words;
