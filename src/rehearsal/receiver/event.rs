//! What the receiver tells of each request.

use std::time::SystemTime;

use super::answer::Answer;
use super::payload::Payload;

/// One request that was answered (or, with [`Answer::Silence`], will not be).
#[derive(Clone, Debug)]
pub enum Event {
    /// A POST to a metrics endpoint, accepted or refused.
    Export(Box<Export>),
    /// A request for something else.
    Stray(Stray),
}

/// One export, with all that is needed to compare what arrived with what was sent. The API token is not in it.
#[derive(Clone, Debug)]
pub struct Export {
    /// When the body was read.
    pub received: SystemTime,
    /// The account id in the path.
    pub account: String,
    /// `X-Alias-Id`, if there was one.
    pub alias: Option<String>,
    /// The user in the credential, if it could be read.
    pub user: Option<String>,
    /// The `Origin` header.
    pub origin: Option<String>,
    /// The body's bytes, inflated if they came compressed; empty where they could not be read.
    pub body: Vec<u8>,
    /// SHA-256 of [`Self::body`].
    pub sha256: [u8; 32],
    /// What the body says, where it is OTLP/JSON.
    pub payload: Option<Payload>,
    /// What was answered.
    pub answer: Answer,
}

/// A request that is no export: another path (404) or method (405).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// When it came.
    pub received: SystemTime,
    /// The HTTP method.
    pub method: String,
    /// The path, without query.
    pub path: String,
    /// The status it got.
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
