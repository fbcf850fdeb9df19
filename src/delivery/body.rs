//! The body of a stored export, as it is sent.

use std::borrow::Cow;

use crate::otlp::{self, NoResult};
use crate::state::spool::Claim;

/// The body of a claimed export. A copy's is made from ACT's. An error: there is no memory for it now.
pub fn of(claim: &Claim) -> Result<Cow<'_, [u8]>, NoResult> {
    match &claim.header.shared {
        Some(shared) => otlp::copied(claim.body(), &shared.strip, &shared.redact),
        None => Ok(Cow::Borrowed(claim.body())),
    }
}
