//! What act-claude knows of Claude Code: where it is, which settings it reads, which variables it heeds.
//! The observations behind it are in docs/observed-claude.md.

pub mod ancestry;
pub mod arguments;
pub mod carriers;
pub mod chain;
pub mod conflict;
pub mod conflicts;
pub mod consent;
pub mod debug_log;
pub mod exporters;
pub mod locate;
pub mod other_signals;
pub mod ourselves;
pub mod overlay;
pub mod processes;
pub mod settings;
pub mod variables;
pub mod version;
pub mod wrapper;
