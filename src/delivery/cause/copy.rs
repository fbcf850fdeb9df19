//! The causes and fixes of a copy's problems (pure). Nothing is known of its receiver but that it takes OTLP.

use super::{answered, of_failure, problem};
use crate::claude::own_pipeline;
use crate::delivery::verdict::{Reason, Verdict};
use crate::state::outcome::{Problem, State, points};

/// The state of a copy after a verdict, and the problem; `None` for a success without rejected points. `name` is the
/// destination's.
pub fn explain(verdict: &Verdict, name: &str, endpoint: &str) -> (State, Option<Problem>) {
    let of = |reason: &Reason| of(reason, name, endpoint);
    match verdict {
        Verdict::Delivered { .. } => (State::Delivered, None),
        Verdict::Partial { rejected, message } => {
            let said = if message.is_empty() { format!("{} rejected", points(*rejected)) } else { message.clone() };
            let cause = format!("{name} rejected these points and accepted the others");
            (State::Partial, Some(problem(said, &cause, "", 65)))
        }
        Verdict::Held(reason) => (State::Held, Some(of(reason))),
        Verdict::Waiting { reason, .. } => (State::Waiting, Some(Problem { code: 75, ..of(reason) })),
        Verdict::Rejected(reason) => (State::Rejected, Some(Problem { code: 65, ..of(reason) })),
        Verdict::NotUnderstood(reason) => (State::NotUnderstood, Some(Problem { code: 65, ..of(reason) })),
    }
}

fn of(reason: &Reason, name: &str, endpoint: &str) -> Problem {
    let host = endpoint.parse::<hyper::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    let (correct, headers) = fixes(name);
    match reason {
        Reason::Status { status, message, redirect } => {
            let (line, said) = answered(name, *status, message.as_deref());
            match status {
                401 | 403 => problem(said, "The headers are missing or wrong", &headers, 77),
                404 => problem(said, "There is no OTLP endpoint for metrics at this URL", &correct, 78),
                300..=399 => {
                    let said = redirect.as_ref().map_or(said.clone(), |host| format!("{said} and points to {host}"));
                    problem(said, "The URL is wrong, or a proxy wants you to log in", &correct, 78)
                }
                407 => {
                    let fix = "export HTTPS_PROXY=http://user:password@proxy:port";
                    problem(said, "A proxy asks for credentials", fix, 78)
                }
                // The text stands in brackets after "waiting", so the status is enough.
                408 | 425 | 429 | 500..=u16::MAX => problem(line, "It is busy or not available", "", 75),
                415 => problem(said, "It does not take OTLP in JSON", &correct, 65),
                _ => problem(said, "It does not accept this export", "", 65),
            }
        }
        Reason::NotOtlp { status, kind } => {
            let cause = "That is no OTLP receiver, but a wrong URL or a proxy's login page";
            problem(format!("{host} answered {status} with {kind}"), cause, &correct, 65)
        }
        Reason::Failure(failure) => of_failure(failure, &correct, name, &host),
        // Only ACT's answers have these meanings.
        Reason::AliasNotFound | Reason::AliasOfAnotherAccount | Reason::EmptyPayload => {
            problem(format!("{name} refused the export"), "", "", 65)
        }
    }
}

/// What to correct: the URL, and the headers.
fn fixes(name: &str) -> (String, String) {
    if name == own_pipeline::NAME {
        let url = "correct OTEL_EXPORTER_OTLP_METRICS_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT, where you set it";
        let headers = "correct OTEL_EXPORTER_OTLP_HEADERS or OTEL_EXPORTER_OTLP_METRICS_HEADERS, where you set it";
        return (url.to_owned(), headers.to_owned());
    }
    let fix = |key: &str| format!("correct \"{key}\" of copy {name} in the configuration");
    (fix("endpoint"), fix("headers"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::verdict::Failure;

    #[test]
    fn each_answer_names_the_copy_and_what_to_correct() {
        let status = |status| Reason::Status { status, message: None, redirect: None };
        let headers = "correct \"headers\" of copy grafana in the configuration";
        let endpoint = "correct \"endpoint\" of copy grafana in the configuration";
        for (verdict, state, said, fix, code) in [
            (Verdict::Held(status(401)), State::Held, "grafana answered 401 Unauthorized", headers, 77),
            (Verdict::Held(status(403)), State::Held, "grafana answered 403 Forbidden", headers, 77),
            (Verdict::Held(status(404)), State::Held, "grafana answered 404 Not Found", endpoint, 78),
            (
                Verdict::Waiting { reason: status(503), retry_after: None },
                State::Waiting,
                "503 Service Unavailable",
                "",
                75,
            ),
            (Verdict::Rejected(status(400)), State::Rejected, "grafana answered 400 Bad Request", "", 65),
            (
                Verdict::Waiting { reason: Reason::Failure(Failure::Refused), retry_after: None },
                State::Waiting,
                "collector.example refused the connection",
                endpoint,
                75,
            ),
            (
                Verdict::NotUnderstood(Reason::NotOtlp { status: 200, kind: "a web page" }),
                State::NotUnderstood,
                "collector.example answered 200 with a web page",
                endpoint,
                65,
            ),
        ] {
            let (found, problem) = explain(&verdict, "grafana", "https://collector.example/v1/metrics");
            let problem = problem.expect("a problem");
            assert_eq!((found, problem.said.as_str(), problem.fix.as_str(), problem.code), (state, said, fix, code));
            assert!(!format!("{problem:?}").contains("ACT"), "{problem:?}");
        }
    }

    /// The configuration names no headers of the user's own pipeline.
    #[test]
    fn what_to_correct_is_where_the_user_set_it() {
        for (status, fix) in
            [(401, "correct OTEL_EXPORTER_OTLP_HEADERS or"), (404, "correct OTEL_EXPORTER_OTLP_METRICS_ENDPOINT or")]
        {
            let verdict = Verdict::Held(Reason::Status { status, message: None, redirect: None });
            let (_, problem) = explain(&verdict, own_pipeline::NAME, "https://c.example/v1/metrics");
            assert!(problem.expect("a problem").fix.starts_with(fix), "{status}");
        }
    }
}
