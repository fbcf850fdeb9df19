//! The ground: what the operating system gives a process and takes from it.

pub mod child;
pub mod descriptors;
pub mod environment;
pub mod error;
pub mod exit;
pub mod file;
pub mod inherited;
pub mod output;
pub mod process;
pub mod shared_memory;
