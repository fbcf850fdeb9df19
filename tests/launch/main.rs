//! Launching claude under the directory's alias: configuration, resolution, whose telemetry, the variables.

#[path = "../support/mod.rs"]
mod support;

mod bytes;
mod candidates;
mod faults;
mod footprint;
mod printed;
mod reach;
mod readme;
mod required;
mod variables;
mod which;
mod whose;
