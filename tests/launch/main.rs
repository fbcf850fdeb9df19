//! Launching claude under the directory's alias: configuration, resolution, the user's own telemetry settings, the
//! variables.

#[path = "../support/mod.rs"]
mod support;

mod bytes;
mod candidates;
mod faults;
mod footprint;
mod inside;
mod json;
mod old_clients;
mod printed;
mod reach;
mod readme;
mod required;
mod unread;
mod unstarted;
mod variables;
mod which;
mod whose;
