//! The ground: text for programs and for people.

pub mod paths;
pub mod printable;
