//! act-claude reads claude's settings as claude does: files of every form in every layer, with the real clients and
//! with act-claude's decisions about the same files.

#[path = "../support/mod.rs"]
mod support;

mod bench;
mod decision;
mod differential;
mod forms;
mod layers;
mod token;
