//! Code that sessions do not use: a local ACT ([`receiver`]), and the demonstration ([`demo`]).

pub mod demo;
pub mod receiver;
pub mod server;
