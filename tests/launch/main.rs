//! Launching claude under the directory's alias: configuration, command line, resolution, direct delivery.

#[path = "../support/mod.rs"]
mod support;

mod smoke;
