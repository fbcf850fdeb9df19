//! What must hold for any input: of whatever reads bytes from outside, of resolution, of the command line.
//!
//! The checks of single inputs are also the fuzz targets' (tests/fuzz); here they run over the seeds and over some
//! thousand simple changes of them.

mod arguments;
mod configuration;
mod front;
mod log;
mod paths;
mod payload;
mod resolution;
mod scanning;
mod seeds;
mod settings;
mod spec;
mod spelled;
mod spool;
