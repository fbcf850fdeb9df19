//! The meaning of ACT's answer for an export, or of the lack of an answer (pure; promises B3 and B5).
//!
//! The body decides where it has one of the documented texts, and the status otherwise.

use std::time::Duration;

use serde_json::Value;

pub use super::failure::Failure;

/// At most this many bytes of an answer's body are read.
pub const LONGEST_BODY: usize = 64 * 1024;
/// The longest pause that a server may ask for.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(600);

/// An HTTP answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// `Content-Type`
    pub content_type: Option<String>,
    /// `Retry-After`
    pub retry_after: Option<String>,
    /// `Location`
    pub location: Option<String>,
    /// The body, up to [`LONGEST_BODY`].
    pub body: Vec<u8>,
    /// Whether the body was longer, or ended early.
    pub cut: bool,
}

/// What to do with an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// ACT has it.
    Delivered {
        /// The server's message, if it sent one without rejected points.
        warning: Option<String>,
    },
    /// ACT accepted a part of it. It is never sent again.
    Partial {
        /// How many points were rejected.
        rejected: u64,
        /// The server's message about them.
        message: String,
    },
    /// It is kept until the user corrects something.
    Held(Reason),
    /// It is tried again.
    Waiting {
        /// Why it is not delivered.
        reason: Reason,
        /// The pause the server asked for.
        retry_after: Option<Duration>,
    },
    /// ACT will never accept it: it goes to the dead letters.
    Rejected(Reason),
    /// A 2xx that does not look like an OTLP server's answer. It is kept.
    NotUnderstood(Reason),
}

/// The reason of a verdict. The file `cause` has the text for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// "Agent alias … not found"
    AliasNotFound,
    /// "Alias does not belong to the specified account"
    AliasOfAnotherAccount,
    /// "Empty resourceMetrics in OTLP payload"
    EmptyPayload,
    /// A status code, with the server's message.
    Status {
        /// The code.
        status: u16,
        /// `message` of the body, where there is one.
        message: Option<String>,
        /// Where a redirect points: the host.
        redirect: Option<String>,
    },
    /// A 2xx with a body that is not an OTLP answer.
    NotOtlp {
        /// The code.
        status: u16,
        /// What the body is instead.
        kind: &'static str,
    },
    /// No answer.
    Failure(Failure),
}

/// ACT's verdict on an export of `points` data points. `now` is the wall clock, for a `Retry-After` that is a date.
pub fn judge(answer: Result<&Answer, &Failure>, points: u64, now: std::time::SystemTime) -> Verdict {
    answer.ok().and_then(documented).unwrap_or_else(|| judge_copy(answer, points, now))
}

/// The verdict that ACT's documented words mean.
fn documented(answer: &Answer) -> Option<Verdict> {
    if (200..300).contains(&answer.status) {
        return None;
    }
    let body = String::from_utf8_lossy(&answer.body);
    let words = message_of(&body).as_deref().unwrap_or(&body).to_ascii_lowercase();
    if words.contains("agent alias") && words.contains("not found") {
        return Some(Verdict::Held(Reason::AliasNotFound));
    }
    if words.contains("does not belong to the specified account") {
        return Some(Verdict::Held(Reason::AliasOfAnotherAccount));
    }
    words.contains("empty resourcemetrics").then_some(Verdict::Rejected(Reason::EmptyPayload))
}

/// The verdict of any OTLP receiver, of which no words are known.
pub fn judge_copy(answer: Result<&Answer, &Failure>, points: u64, now: std::time::SystemTime) -> Verdict {
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure @ Failure::ProxyAuthentication { .. }) => return Verdict::Held(Reason::Failure(failure.clone())),
        Err(failure) => {
            return Verdict::Waiting { reason: Reason::Failure(failure.clone()), retry_after: None };
        }
    };
    if (200..300).contains(&answer.status) {
        return accepted(answer, points);
    }
    let message = message_of(&String::from_utf8_lossy(&answer.body));
    let redirect = answer.location.as_deref().and_then(host_of);
    let reason = Reason::Status { status: answer.status, message, redirect };
    match answer.status {
        300..400 | 401 | 403 | 404 | 407 => Verdict::Held(reason),
        408 | 425 | 429 | 500.. => Verdict::Waiting { reason, retry_after: retry_after(answer, now) },
        400..500 => Verdict::Rejected(reason),
        _ => Verdict::NotUnderstood(reason),
    }
}

/// A 2xx: an OTLP answer is an empty body, or a JSON object that may hold `partialSuccess`.
fn accepted(answer: &Answer, points: u64) -> Verdict {
    let other = |kind| Verdict::NotUnderstood(Reason::NotOtlp { status: answer.status, kind });
    let body = answer.body.trim_ascii();
    if answer.cut {
        return other("an answer that was cut short");
    }
    if body.is_empty() {
        return Verdict::Delivered { warning: None };
    }
    if body.starts_with(b"<") {
        return other("a web page");
    }
    let Ok(Value::Object(object)) = serde_json::from_slice(body) else { return other("something that is not JSON") };
    let partial = match object.get("partialSuccess") {
        None | Some(Value::Null) => return Verdict::Delivered { warning: None },
        Some(Value::Object(partial)) => partial,
        Some(_) => return other("a malformed OTLP answer"),
    };
    let rejected = match partial.get("rejectedDataPoints") {
        None | Some(Value::Null) => 0,
        // OTLP/JSON writes a 64-bit integer as a string; a number is accepted, too.
        Some(Value::String(text)) if text.parse::<i64>().is_ok() => text.parse().unwrap_or(0),
        Some(Value::Number(number)) if number.is_i64() || number.is_u64() => number.as_i64().unwrap_or(i64::MAX),
        Some(_) => return other("a malformed OTLP answer"),
    };
    let message = match partial.get("errorMessage") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(message)) => clean(message),
        Some(_) => return other("a malformed OTLP answer"),
    };
    match u64::try_from(rejected).unwrap_or(0).min(points) {
        0 => Verdict::Delivered { warning: Some(message).filter(|message| !message.is_empty()) },
        rejected => Verdict::Partial { rejected, message },
    }
}

/// The server's message in a JSON body, or its text.
fn message_of(body: &str) -> Option<String> {
    let text = match serde_json::from_str::<Value>(body) {
        Ok(Value::Object(object)) => {
            ["message", "error_description", "error", "detail", "title"].iter().find_map(|key| {
                match object.get(*key)? {
                    Value::String(text) => Some(text.clone()),
                    Value::Object(inner) => Some(inner.get("message")?.as_str()?.to_owned()),
                    _ => None,
                }
            })?
        }
        Ok(Value::String(text)) => text,
        Ok(_) => return None,
        Err(_) if body.trim_start().starts_with('<') => return None,
        Err(_) => body.to_owned(),
    };
    Some(clean(&text)).filter(|text| !text.is_empty())
}

/// One short line without control characters.
fn clean(text: &str) -> String {
    let words: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(160).collect();
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn host_of(location: &str) -> Option<String> {
    Some(clean(location.parse::<hyper::Uri>().ok()?.host()?))
}

fn retry_after(answer: &Answer, now: std::time::SystemTime) -> Option<Duration> {
    let text = answer.retry_after.as_deref()?.trim();
    let pause = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(pause.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{SystemTime, UNIX_EPOCH};

    fn verdict(status: u16, body: &str) -> Verdict {
        let answer = Answer { status, body: body.as_bytes().to_vec(), ..Answer::default() };
        judge(Ok(&answer), 10, SystemTime::now())
    }

    /// A verdict's name, and the points refused.
    fn name(verdict: &Verdict) -> (&'static str, u64) {
        match verdict {
            Verdict::Delivered { warning: None } => ("delivered", 0),
            Verdict::Delivered { .. } => ("warning", 0),
            Verdict::Partial { rejected, .. } => ("partial", *rejected),
            Verdict::Held(_) => ("held", 0),
            Verdict::Waiting { .. } => ("waiting", 0),
            Verdict::Rejected(_) => ("rejected", 0),
            Verdict::NotUnderstood(_) => ("not understood", 0),
        }
    }

    #[test]
    fn b3_statuses_and_documented_words() {
        for (status, body, expected) in [
            (200, "", "delivered"),
            (202, "{}", "delivered"),
            (200, "{\"partialSuccess\":{}}", "delivered"),
            (200, "<html>log in</html>", "not understood"),
            (200, "OK", "not understood"),
            (200, "[]", "not understood"),
            (401, "", "held"),
            (403, "", "held"),
            (404, "", "held"),
            (407, "", "held"),
            (302, "", "held"),
            (400, "{\"message\":\"Agent alias a-1 not found\"}", "held"),
            (404, "Agent alias a-1 not found", "held"),
            (400, "{\"error\":{\"message\":\"Alias does not belong to the specified account\"}}", "held"),
            (400, "{\"message\":\"Empty resourceMetrics in OTLP payload\"}", "rejected"),
            (400, "", "rejected"),
            (413, "", "rejected"),
            (408, "", "waiting"),
            (425, "", "waiting"),
            (429, "", "waiting"),
            (500, "", "waiting"),
            (503, "Agent pool exhausted", "waiting"),
            (599, "", "waiting"),
            (101, "", "not understood"),
        ] {
            assert_eq!(name(&verdict(status, body)).0, expected, "{status} {body}");
        }
        for failure in [Failure::Refused, Failure::TimedOut, Failure::Tls("x".into()), Failure::UnknownHost("h".into())]
        {
            assert_eq!(name(&judge(Err(&failure), 1, SystemTime::now())).0, "waiting");
        }
        assert_eq!(
            name(&judge(Err(&Failure::ProxyAuthentication { fix: String::new() }), 1, SystemTime::now())).0,
            "held"
        );
    }

    /// The message and the redirect's host of an answer.
    fn said(status: u16, body: &str, location: Option<&str>) -> (Option<String>, Option<String>) {
        let location = location.map(str::to_owned);
        let answer = Answer { status, location, body: body.as_bytes().to_vec(), ..Answer::default() };
        match judge(Ok(&answer), 1, SystemTime::now()) {
            Verdict::Held(Reason::Status { message, redirect, .. })
            | Verdict::Rejected(Reason::Status { message, redirect, .. }) => (message, redirect),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_server_s_own_words_are_found() {
        for (body, expected) in [
            ("{\"message\":\"expired\"}", Some("expired")),
            ("{\"error\":\"invalid_token\",\"error_description\":\"expired\"}", Some("expired")),
            ("{\"error\":{\"message\":\"expired\",\"code\":7}}", Some("expired")),
            ("{\"error\":{\"code\":7},\"title\":\"expired\"}", Some("expired")),
            ("{\"message\":7,\"detail\":\"expired\"}", Some("expired")),
            ("\"expired\"", Some("expired")),
            ("  expired\r\n\u{1b}[31mnow ", Some("expired [31mnow")),
            (" <html>expired</html>", None),
            ("{\"status\":401}", None),
            ("[\"expired\"]", None),
            ("{\"message\":\" \"}", None),
            ("", None),
        ] {
            assert_eq!(said(401, body, None).0.as_deref(), expected, "{body}");
        }
        assert_eq!(said(401, &"a".repeat(500), None).0.map(|text| text.len()), Some(160));
    }

    #[test]
    fn a_redirect_s_host_is_found() {
        for (location, expected) in [
            (Some("https://login.example/sso?next=x"), Some("login.example")),
            (Some("/elsewhere"), None),
            (Some("https://a b"), None),
            (None, None),
        ] {
            assert_eq!(said(302, "", location).1.as_deref(), expected, "{location:?}");
        }
    }

    #[test]
    fn half_of_the_documented_words_is_not_enough() {
        for body in ["Agent alias a-1 is busy", "Page not found"] {
            assert_eq!(name(&verdict(400, body)).0, "rejected", "{body}");
        }
    }

    #[test]
    fn b5_partial_success() {
        for (partial, expected) in [
            ("{\"rejectedDataPoints\":\"3\",\"errorMessage\":\"m\"}", ("partial", 3)),
            ("{\"rejectedDataPoints\":3}", ("partial", 3)),
            ("{\"rejectedDataPoints\":\"10\"}", ("partial", 10)),
            ("{\"rejectedDataPoints\":\"99\"}", ("partial", 10)),
            ("{\"rejectedDataPoints\":\"0\",\"errorMessage\":\"soon\"}", ("warning", 0)),
            ("{\"rejectedDataPoints\":\"-4\"}", ("delivered", 0)),
            ("{\"rejectedDataPoints\":\"many\"}", ("not understood", 0)),
            ("{\"rejectedDataPoints\":18446744073709551615}", ("partial", 10)),
            ("{\"rejectedDataPoints\":-4}", ("delivered", 0)),
            ("{\"rejectedDataPoints\":1.5}", ("not understood", 0)),
            ("{\"errorMessage\":7}", ("not understood", 0)),
            ("\"yes\"", ("not understood", 0)),
            ("null", ("delivered", 0)),
            ("{\"rejectedDataPoints\":", ("not understood", 0)),
        ] {
            let body = format!("{{\"partialSuccess\":{partial}}}");
            assert_eq!(name(&verdict(200, &body)), expected, "{partial}");
        }
        let cut = Answer { status: 200, body: b"{}".to_vec(), cut: true, ..Answer::default() };
        assert_eq!(name(&judge(Ok(&cut), 1, SystemTime::now())).0, "not understood");
    }

    #[test]
    fn b4_retry_after_is_read_and_clamped() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let pause = |text: &str| {
            let answer = Answer { status: 503, retry_after: Some(text.into()), ..Answer::default() };
            match judge(Ok(&answer), 1, now) {
                Verdict::Waiting { retry_after, .. } => retry_after.map(|pause| pause.as_secs()),
                other => panic!("{other:?}"),
            }
        };
        for (text, expected) in [
            ("2", Some(2)),
            ("999999", Some(600)),
            ("18446744073709551615", Some(600)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Tue, 06 Nov 1984 08:50:37 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(pause(text), expected, "{text}");
        }
    }
}
