//! The sources that `act setup` reads: a Monitoring Spec ([`spec`]), existing settings ([`from_settings`]). Also where it
//! stores a token ([`keychain`], [`token_file`]).

pub mod entries;
pub mod from_settings;
pub mod keychain;
pub mod names;
pub mod recipe;
pub mod settings_file;
pub mod spec;
pub mod token_file;
