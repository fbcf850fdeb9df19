//! A local ACT: an OTLP/HTTP receiver on loopback that checks each export as ACT's documentation says and answers
//! with the documented bodies. `act receive` prints what comes; `act demo` and tests compare it with what was sent.
//!
//! The checks ([`check`]) and the words ([`answer`]) are pure; [`server`] is the thin edge that listens. An API token
//! that arrives is looked at and forgotten: neither an [`event::Export`] nor anything printed holds it.

pub mod answer;
pub mod check;
pub mod event;
pub mod json;
pub mod log_line;
pub mod payload;
pub mod server;
pub mod summary;
pub mod totals;

pub use answer::{Answer, Fail, Refusal};
pub use check::{Account, Expected};
pub use event::{Event, Export, Stray};
pub use server::{OnEvent, Options, Receiver};
