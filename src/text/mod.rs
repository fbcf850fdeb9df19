//! Text for programs and for people.

pub mod amount;
pub mod command;
pub mod home;
pub mod json;
pub mod lanes;
pub mod locale;
pub mod nearest;
pub mod page;
pub mod pasted;
pub mod paths;
pub mod printable;
pub mod replace;
pub mod shell;
pub mod table;
pub mod uuid;
