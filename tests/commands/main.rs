//! The commands under `act-claude act`.

#[path = "../support/mod.rs"]
mod support;

mod check;
mod doctor;
mod shell;
