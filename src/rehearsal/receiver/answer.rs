//! The receiver's answers: the documented statuses and bodies.

use serde_json::{Value, json};

/// The answer to one export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200 with an empty `partialSuccess`: every data point was accepted.
    Accepted,
    /// 200 that says that some data points were rejected.
    Partial {
        /// How many data points were rejected: at least 1, at most as many as were sent.
        rejected: u64,
        /// The server's message about it.
        message: String,
    },
    /// Another status than 200: nothing was accepted.
    Refused(Refusal),
    /// No answer: the connection is held open until the client gives up.
    Silence,
}

/// A status other than 200, the message in its body, and why this receiver chose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The documented message, which is sent to the client.
    pub message: String,
    /// What was wrong with the request. It is shown to the user of the receiver and never sent. It never holds a token.
    pub cause: String,
}

/// An answer that every export gets (`--fail`), regardless of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fail {
    /// ACT does not accept the token or its user (Unauthorized)
    #[value(name = "401")]
    Unauthorized,
    /// The user may not do this in ACT (Forbidden)
    #[value(name = "403")]
    Forbidden,
    /// ACT does not know the alias (Agent alias not found)
    #[value(name = "404")]
    UnknownAlias,
    /// ACT does not understand the export (Bad Request)
    #[value(name = "400")]
    BadRequest,
    /// ACT has too much to do and asks for a pause of 2 s (Too Many Requests)
    #[value(name = "429")]
    TooManyRequests,
    /// ACT is out of service for the moment (Service Unavailable)
    #[value(name = "503")]
    Unavailable,
    /// ACT accepts the export but rejects 3 of its points (fewer where fewer were sent)
    Partial,
    /// ACT does not answer at all
    Hang,
}

impl Refusal {
    fn new(status: u16, message: impl Into<String>, cause: impl Into<String>) -> Self {
        Self { status, message: message.into(), cause: cause.into() }
    }

    /// 401: the credential is missing or wrong.
    pub fn unauthorized(cause: impl Into<String>) -> Self {
        Self::new(401, "Unauthorized", cause)
    }

    /// 400: a missing header, another content type, or malformed JSON.
    pub fn bad_request(cause: impl Into<String>) -> Self {
        Self::new(400, "Bad Request", cause)
    }

    /// 404: there is no alias with that id.
    pub fn unknown_alias(alias: &str, cause: impl Into<String>) -> Self {
        Self::new(404, format!("Agent alias {alias} not found"), cause)
    }

    /// 400: the alias exists, but belongs to another account.
    pub fn foreign_alias(cause: impl Into<String>) -> Self {
        Self::new(400, "Alias does not belong to the specified account", cause)
    }

    /// 400: the payload is empty.
    pub fn empty_payload(cause: impl Into<String>) -> Self {
        Self::new(400, "Empty resourceMetrics in OTLP payload", cause)
    }

    /// 413: the body, compressed or decompressed, is larger than the limit.
    pub fn too_large(cause: impl Into<String>) -> Self {
        Self::new(413, "Payload Too Large", cause)
    }
}

impl Fail {
    /// The answer for an export of `points` data points under `alias`. `None` where the checks decide, as without `--fail`: an
    /// export without data points has none to reject.
    pub fn answer(self, alias: Option<&str>, points: u64) -> Option<Answer> {
        let refusal = |status, message: &str, option: &str| {
            Some(Answer::Refused(Refusal::new(status, message, format!("--fail {option} refuses every export"))))
        };
        match self {
            Self::Unauthorized => refusal(401, "Unauthorized", "401"),
            Self::Forbidden => refusal(403, "Forbidden", "403"),
            Self::UnknownAlias => refusal(404, &format!("Agent alias {} not found", alias.unwrap_or("null")), "404"),
            Self::BadRequest => refusal(400, "Bad Request", "400"),
            Self::TooManyRequests => refusal(429, "Too Many Requests", "429"),
            Self::Unavailable => refusal(503, "Service Unavailable", "503"),
            Self::Partial if points == 0 => None,
            Self::Partial => {
                let rejected = points.min(3);
                let plural = if rejected == 1 { "" } else { "s" };
                Some(Answer::Partial { rejected, message: format!("{rejected} point{plural} rejected") })
            }
            Self::Hang => Some(Answer::Silence),
        }
    }
}

impl Answer {
    /// The HTTP status. `None` where there is no answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Accepted | Self::Partial { .. } => Some(200),
            Self::Refused(refusal) => Some(refusal.status),
            Self::Silence => None,
        }
    }

    /// The documented body. `rejectedDataPoints` is a string, as are all 64-bit integers in OTLP/JSON.
    pub fn body(&self) -> Value {
        match self {
            Self::Accepted | Self::Silence => json!({ "partialSuccess": {} }),
            Self::Partial { rejected, message } => json!({
                "partialSuccess": { "rejectedDataPoints": rejected.to_string(), "errorMessage": message }
            }),
            Self::Refused(refusal) => json!({ "message": refusal.message }),
        }
    }

    /// The value of a `Retry-After` header, in seconds.
    pub fn retry_after(&self) -> Option<u32> {
        (self.status() == Some(429)).then_some(2)
    }

    /// The server's message, where the answer has one.
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Accepted | Self::Silence => None,
            Self::Partial { message, .. } => Some(message),
            Self::Refused(refusal) => Some(&refusal.message),
        }
    }

    /// How many of `points` data points were accepted.
    pub fn accepted_points(&self, points: u64) -> u64 {
        match self {
            Self::Accepted => points,
            Self::Partial { rejected, .. } => points.saturating_sub(*rejected),
            Self::Refused(_) | Self::Silence => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fail_gives_the_documented_answers() {
        let table = [
            (Fail::Unauthorized, Some(401), json!({"message": "Unauthorized"}), None),
            (Fail::Forbidden, Some(403), json!({"message": "Forbidden"}), None),
            (Fail::UnknownAlias, Some(404), json!({"message": "Agent alias a1 not found"}), None),
            (Fail::BadRequest, Some(400), json!({"message": "Bad Request"}), None),
            (Fail::TooManyRequests, Some(429), json!({"message": "Too Many Requests"}), Some(2)),
            (Fail::Unavailable, Some(503), json!({"message": "Service Unavailable"}), None),
        ];
        for (fail, status, body, retry_after) in table {
            let answer = fail.answer(Some("a1"), 7).unwrap();
            assert_eq!((answer.status(), answer.body(), answer.retry_after()), (status, body, retry_after));
        }
        assert_eq!(Fail::Hang.answer(None, 7).unwrap().status(), None);
    }

    #[test]
    fn partial_never_rejects_more_than_was_sent() {
        let body = |points| Fail::Partial.answer(None, points).map(|answer| answer.body());
        let partial = |n: &str, message: &str| {
            Some(json!({"partialSuccess": {"rejectedDataPoints": n, "errorMessage": message}}))
        };
        assert_eq!(body(7), partial("3", "3 points rejected"));
        assert_eq!(body(2), partial("2", "2 points rejected"));
        assert_eq!(body(1), partial("1", "1 point rejected"));
        assert_eq!(body(0), None);
    }
}
