//! What act-claude knows of Claude Code: its path, the settings it reads, the variables it obeys.
//! The observations behind it are in docs/observed-claude.md.

pub mod ancestry;
pub mod arguments;
pub mod by_itself;
pub mod carriers;
pub mod chain;
pub mod conflict;
pub mod conflicts;
pub mod consent;
pub mod debug_log;
pub mod enclosing;
pub mod exporters;
pub mod installed;
pub mod lineage;
pub mod locate;
#[cfg(any(test, not(target_os = "linux")))]
mod macho;
pub mod measured;
pub mod metrics;
pub mod network;
pub mod operand;
pub mod other_signals;
pub mod ourselves;
pub mod overlay;
pub mod own_pipeline;
pub mod processes;
pub mod settings;
pub mod switched_off;
pub mod variables;
pub mod version;
pub mod wrapper;
