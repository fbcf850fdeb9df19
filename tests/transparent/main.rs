//! Nobody can tell act-claude from claude: promises A1–A22. Most tests run one scenario twice, bare and behind
//! act-claude, and want the same.
#![allow(unsafe_code)]

#[path = "../support/mod.rs"]
mod support;

mod ending;
mod forms;
mod forwarding;
mod inherited;
mod itself;
mod killed;
mod scarce;
mod shells;
mod start;
mod stopping;
mod streams;
mod terminal;
mod wrappers;
