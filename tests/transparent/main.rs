//! Nobody can tell act-claude from claude: promises A1–A22. Most tests run one scenario twice, bare and behind
//! act-claude, and want the same.
#![allow(unsafe_code)]

#[path = "../support/mod.rs"]
mod support;

mod ending;
mod forwarding;
mod inherited;
mod killed;
mod start;
mod stopping;
mod streams;
mod terminal;
