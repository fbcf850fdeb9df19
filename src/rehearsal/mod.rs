//! What no session runs: a local ACT, and the demonstration.

pub mod demo;
pub mod receiver;
pub mod server;
