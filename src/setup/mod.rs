//! What `act setup` finds out by itself: from a Monitoring Spec ([`spec`]), from existing settings
//! (`from_settings`), from a pasted credential ([`credential`]); and where it puts a token ([`keychain`]).

pub mod credential;
pub mod keychain;
pub mod spec;
pub mod token_file;
