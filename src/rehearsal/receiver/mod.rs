//! A local ACT: an OTLP/HTTP receiver on loopback. It checks each export as ACT's documentation says, and answers with the
//! documented bodies. `act receive` prints what arrives. `act demo` and tests compare it with what was sent.
//!
//! The checks ([`check`]) and the answers ([`answer`]) are pure. [`server`] does the I/O. A received API token is checked and not
//! kept: neither an [`event::Export`] nor any output holds it.

pub mod answer;
pub mod check;
pub mod event;
pub mod json;
pub mod log_line;
pub mod payload;
pub mod platform;
pub mod server;
pub mod summary;
pub mod totals;

pub use answer::{Answer, Fail, Refusal};
pub use check::{Account, Expected};
pub use event::{Event, Export, JwtRequest, Stray};
pub use server::{OnEvent, Options, Receiver};
