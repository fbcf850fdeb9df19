//! The real clients, in a network with loopback only.

#[path = "../support/mod.rs"]
mod support;

mod alias;
mod arguments;
mod background;
mod background_lab;
mod copies;
mod demo;
mod editors;
mod failures;
mod first_minute;
mod from_settings;
mod job_control;
mod kept;
mod launcher;
mod overlay;
mod proxies;
mod repositories;
mod silent;
mod statusline;
mod subcommands;
mod table;
mod usage;
mod verify;
mod verify_screen;
