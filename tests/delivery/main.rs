//! Nothing lost (promises B1–B16): the relay and its spool, driven directly or around a program in claude's place.

#[path = "../support/mod.rs"]
mod support;

mod bounds;
mod durable;
mod failures;
mod faults;
mod files;
mod held;
mod in_use;
mod lifetime;
mod log;
mod oracle;
mod order;
mod owner;
mod parallel;
mod places;
mod poison;
mod relay;
mod replaced;
mod report;
mod route;
mod silent;
mod soak;
mod threads;
mod unreadable;
mod verdicts;
mod words;
