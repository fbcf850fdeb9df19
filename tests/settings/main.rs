//! What claude reads of its settings, act-claude reads: files of every form in every layer, the real clients, and what
//! act-claude decides about the same files.

#[path = "../support/mod.rs"]
mod support;

mod bench;
mod decision;
mod differential;
mod forms;
mod layers;
mod token;
