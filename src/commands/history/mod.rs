//! `act history`: what recent sessions delivered.

mod command;
mod show;

pub use command::{Args, run};
