//! The answers to claude.

use crate::delivery::cause::Unfit;

/// The answer to a request.
#[derive(Debug)]
pub enum IntakeAnswer {
    /// It is durably stored, or ACT has it.
    Accepted,
    /// ACT's own answer (`--verify`).
    Answered {
        /// The status.
        status: u16,
        /// The body.
        body: Vec<u8>,
    },
    /// It is no OTLP export.
    NoExport,
    /// Its type or its encoding is not supported.
    Unsupported,
    /// Its body did not arrive in time.
    TooSlow,
    /// There is no alias for it: it is answered with success and dropped, so that claude does not try again.
    Unrouted,
    /// It is larger than what can be stored.
    TooLarge,
    /// It could be neither stored nor delivered.
    Lost,
}

/// Why an export could not be read from its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// It is larger than an export may be.
    TooLarge,
    /// There is no memory for it now.
    NoMemory,
    /// Its form is wrong.
    Unfit(Unfit),
}

impl Unreadable {
    /// The answer to the request.
    pub fn answer(self) -> IntakeAnswer {
        match self {
            Self::TooLarge => IntakeAnswer::TooLarge,
            Self::NoMemory => IntakeAnswer::Lost,
            Self::Unfit(Unfit::Protobuf | Unfit::ContentType | Unfit::Encoding) => IntakeAnswer::Unsupported,
            Self::Unfit(Unfit::NotGzip | Unfit::Malformed | Unfit::NoExport) => IntakeAnswer::NoExport,
            Self::Unfit(Unfit::Slow) => IntakeAnswer::TooSlow,
        }
    }
}
