//! Promises A1–A22: act-claude behaves as claude does. Most tests run one scenario twice, bare and behind act-claude,
//! and require the same result.
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
