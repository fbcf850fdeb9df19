//! No export is lost (promises B1–B16): tests of the relay and its spool, directly or around a stand-in for claude.

#[path = "../support/mod.rs"]
mod support;

mod bounds;
mod copies;
mod durable;
mod failures;
mod faults;
mod files;
mod held;
mod in_use;
mod lifetime;
mod locks;
mod log;
mod lost_copies;
mod oracle;
mod order;
mod owner;
mod parallel;
mod pipes;
mod places;
mod poison;
mod receivers;
mod refused;
mod relay;
mod replaced;
mod report;
mod route;
mod silent;
mod soak;
#[cfg(target_os = "linux")]
mod threads;
mod unreadable;
mod upgrades;
mod usage;
mod verdicts;
mod words;
