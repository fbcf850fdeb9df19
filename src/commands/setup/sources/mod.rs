//! What `act setup` finds out by itself: from a Monitoring Spec ([`spec`]), from existing settings
//! ([`from_settings`]), from a pasted credential ([`credential`]); and where it puts a token ([`keychain`]).

pub mod credential;
pub mod entries;
pub mod from_settings;
pub mod keychain;
pub mod names;
pub mod recipe;
pub mod settings_file;
pub mod spec;
pub mod token_file;
