//! The programs that start claude, each the real one with a real client, in a network with loopback only: what they see with
//! act-claude is what they see without it, and ACT gets the exports under the alias of the session's directory.

#[path = "../support/mod.rs"]
mod support;

mod acp;
mod action;
mod devcontainer;
mod guide;
mod lab;
mod release;
mod same;
mod sdk;
mod sdk_python;
mod sdk_typescript;
