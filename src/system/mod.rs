//! The lowest layer: descriptors, environment, exit statuses, output, processes and memory.

pub mod child;
pub mod descriptors;
pub mod environment;
pub mod error;
pub mod exit;
pub mod file;
pub mod inherited;
pub mod output;
pub mod owner;
pub mod process;
pub mod shared_memory;
pub mod wsl;
