//! `act history`: what recent sessions delivered.

mod command;
mod kept;
mod listing;
mod totals;

pub use command::{Args, run};
pub use listing::{Page, state_word};
