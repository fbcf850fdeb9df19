//! The event that the receiver emits for each request.

use std::time::SystemTime;

use super::answer::{Answer, Refusal};
use super::payload::Payload;

/// One request that is answered, or with [`Answer::Silence`] is not.
#[derive(Clone, Debug)]
pub enum Event {
    /// A POST to a metrics endpoint, accepted or refused.
    Export(Box<Export>),
    /// A request for a JWT.
    Jwt(JwtRequest),
    /// A request for something else.
    Stray(Stray),
}

/// A request for a JWT, as `act check` sends it. It does not hold the API token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtRequest {
    /// When it was received.
    pub received: SystemTime,
    /// The account id in the path.
    pub account: String,
    /// The credential's user, if it could be read.
    pub user: Option<String>,
    /// Why it is refused. `None`: it got a sample JWT.
    pub refusal: Option<Refusal>,
}

/// One export, with all that is needed to compare what arrived with what was sent. It does not hold the API token.
#[derive(Clone, Debug)]
pub struct Export {
    /// When the body was read.
    pub received: SystemTime,
    /// The account id in the path.
    pub account: String,
    /// `X-Alias-Id`, if there was one.
    pub alias: Option<String>,
    /// The credential's user, if it could be read.
    pub user: Option<String>,
    /// The `Origin` header.
    pub origin: Option<String>,
    /// The body, decompressed if it came compressed. Empty where it could not be read.
    pub body: Vec<u8>,
    /// SHA-256 of [`Self::body`].
    pub sha256: [u8; 32],
    /// The body's content, where it is OTLP/JSON.
    pub payload: Option<Payload>,
    /// The answer.
    pub answer: Answer,
}

/// A request that is not an export: it has another path (404) or method (405).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// When it was received.
    pub received: SystemTime,
    /// The HTTP method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
}

impl Export {
    /// How many data points it holds.
    pub fn points(&self) -> u64 {
        self.payload.as_ref().map_or(0, Payload::points)
    }

    /// The SHA-256 in lower-case hexadecimal.
    pub fn sha256_hex(&self) -> String {
        self.sha256.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
