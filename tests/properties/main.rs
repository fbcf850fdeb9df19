//! Properties that must hold for any input: for readers of external bytes, for resolution, and for the command line.
//!
//! The fuzz targets (tests/fuzz) use the same checks of single inputs. Here they run over the seeds and over some
//! thousand simple changes of them.

mod arguments;
mod configuration;
mod front;
mod log;
mod paths;
mod payload;
mod proxies;
mod repositories;
mod resolution;
mod scanning;
mod seeds;
mod settings;
mod spec;
mod spelled;
mod spool;
mod usage;
