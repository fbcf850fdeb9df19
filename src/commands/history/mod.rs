//! `act history`: what recent sessions delivered.

mod command;
mod listing;

pub use command::{Args, run};
