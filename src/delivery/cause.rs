//! The only table of causes and fixes (pure): ACT's here, those of copies in [`copy`].

pub mod copy;
mod unfit;

use crate::claude::conflict::Conflict;
use crate::config::attribution::Attribution;
use crate::delivery::verdict::{Failure, Reason, Verdict};
use crate::launch::process::is_scarcity;
use crate::state::outcome::{NOTHING, Problem, State, points};

pub use unfit::{Unfit, unfit};

/// The account, alias and endpoint of an export, named in the fix.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'a> {
    /// The account's name.
    pub account: &'a str,
    /// The alias's name.
    pub alias: &'a str,
    /// The metrics URL.
    pub endpoint: &'a str,
}

/// The state of an export after a verdict, and the problem; `None` for a success without rejected points.
pub fn explain(verdict: &Verdict, whose: &Whose<'_>) -> (State, Option<Problem>) {
    let (state, problem) = explained(verdict, whose);
    (state, problem.map(|problem| with_attribute(problem, whose)))
}

/// The problem, with a fix where ACT's words name an attribute that only `attribute` of the configuration adds.
fn with_attribute(problem: Problem, whose: &Whose<'_>) -> Problem {
    let mut keys = Attribution::ALL.iter().flat_map(|attribution| attribution.keys());
    match keys.find(|key| problem.said.contains(**key)) {
        Some(key) => Problem {
            cause: format!("{key} may come from \"attribute\" of alias {}", whose.alias),
            fix: format!("set \"attribution\": false at account {}", whose.account),
            ..problem
        },
        None => problem,
    }
}

fn explained(verdict: &Verdict, whose: &Whose<'_>) -> (State, Option<Problem>) {
    match verdict {
        Verdict::Delivered { .. } => (State::Delivered, None),
        Verdict::Partial { rejected, message } => {
            let said = if message.is_empty() { format!("{} rejected", points(*rejected)) } else { message.clone() };
            (State::Partial, Some(problem(said, "ACT rejected these points and accepted the others", "", 65)))
        }
        Verdict::Held(reason) => (State::Held, Some(of(reason, whose))),
        Verdict::Waiting { reason, .. } => (State::Waiting, Some(Problem { code: 75, ..of(reason, whose) })),
        Verdict::Rejected(reason) => (State::Rejected, Some(Problem { code: 65, ..of(reason, whose) })),
        Verdict::NotUnderstood(reason) => (State::NotUnderstood, Some(Problem { code: 65, ..of(reason, whose) })),
    }
}

/// The problem of an export that arrived while the configuration had a fault.
pub fn configuration(fault: &str) -> Problem {
    problem(fault, "Without the configuration the account of these exports is not known", "act-claude act which", 78)
}

/// The problem of an export that arrived while the system had no descriptor, thread or memory for it.
pub fn shortage(error: &std::io::Error) -> Problem {
    problem(crate::system::error::plain(error), "The relay lacks descriptors, threads or memory", "ulimit -a", 74)
}

/// The problem of a session whose relay can't start.
pub fn unstarted(error: &std::io::Error) -> Problem {
    let said = format!("no telemetry: the relay cannot start ({})", crate::system::error::plain(error));
    let (cause, fix) = match is_scarcity(error) {
        true => ("The system has no process, descriptor or memory left for it", "ulimit -a"),
        false => ("", ""),
    };
    problem(said, cause, fix, NOTHING)
}

/// The problem of an export that is too large to be stored.
pub fn too_large(most: usize, is_grown: bool) -> Problem {
    let said = format!("an export is larger than {} MiB", most.div_ceil(1 << 20));
    let cause = if is_grown { "With its missing resource attributes added, it is too large to be stored" } else { "" };
    problem(said, cause, "", 74)
}

/// What to do about a fault of act-claude's own.
const REPORT_IT: &str = "report it, with the file of: act-claude act doctor --bundle doctor.json";

/// The problem of an export that was lost because of a bug in act-claude.
pub fn panicked() -> Problem {
    problem("a fault in act-claude", "It could not be stored", REPORT_IT, 74)
}

/// The problem of an export of a claude whose working directory, which decides the alias, can't be read.
pub fn no_directory() -> Problem {
    let fix = "start claude in a directory that exists and that you may read";
    problem("claude's working directory can't be read", "The alias of these exports is not known", fix, 78)
}

/// The problem of an export that is stored, while there is no thread to deliver it with.
pub fn no_worker(error: &std::io::Error) -> Problem {
    if error.raw_os_error().is_none() {
        // The relay's own decision.
        let cause = "Something ends act-claude's processes, or there is a fault in it";
        return problem(error.to_string(), cause, REPORT_IT, 75);
    }
    let said = format!("no thread could be started for delivery: {}", crate::system::error::plain(error));
    problem(said, "The limit on processes is reached", "end processes, or raise the limit: ulimit -u unlimited", 75)
}

/// The problem of an export for which there is no delivery worker any more.
pub fn late() -> Problem {
    problem("it arrived while the relay was ending", "", "", 75)
}

/// The problem of an export that could not be stored, while others that could not are still being sent.
pub fn too_many_in_memory(why: &str) -> Problem {
    problem(
        format!("it could not be stored: {why}"),
        "Too many exports wait in memory already",
        "act-claude act doctor",
        74,
    )
}

/// The problem of a copy for the user's own pipeline that was not sent when the relay ended.
pub fn headers_are_gone() -> Problem {
    let said = "it was not sent before the session ended";
    problem(said, "Its headers are only in the session's environment, and are written nowhere", "", 74)
}

/// The problem of a session whose exports a settings key sends past the relay.
pub fn redirection(conflict: &Conflict) -> Problem {
    let said = match conflict.is_unread() {
        true => format!("no export arrived; {}: {conflict}", conflict.place()),
        false => format!("no export arrived: {conflict}"),
    };
    let cause = match conflict.is_unread() {
        true => "Settings there that act-claude can't read may override its variables",
        false => "A setting overrides act-claude's variables here",
    };
    problem(said, cause, &conflict.fix(), 78)
}

/// The problem of a session that sent nothing because of a setting. Its text follows "claude sent no metrics".
pub fn silence(conflict: &Conflict) -> Problem {
    let place = conflict.place();
    let said = if conflict.is_unread() { format!("{place}: {conflict}") } else { format!("{conflict} ({place})") };
    problem(said, "", &conflict.fix(), NOTHING)
}

/// The problem of a token that can't be read: the export is held.
pub fn without_token(error: &crate::config::token::TokenError) -> Problem {
    problem(error.what.clone(), "", &error.fix, 77)
}

fn problem(said: impl Into<String>, cause: &str, fix: &str, code: u8) -> Problem {
    Problem { said: said.into(), cause: cause.to_owned(), fix: fix.to_owned(), code }
}

fn of(reason: &Reason, whose: &Whose<'_>) -> Problem {
    let Whose { account, alias, endpoint } = whose;
    let host = endpoint.parse::<hyper::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    match reason {
        Reason::AliasNotFound => problem(
            "ACT answered: agent alias not found",
            "Its id is wrong, or it is not published (the UK/EU platform has no such monitoring)",
            &format!("compare \"id\" of alias {alias} with the Monitoring Spec"),
            78,
        ),
        Reason::AliasOfAnotherAccount => problem(
            "ACT answered: alias does not belong to the specified account",
            &format!("The id of alias {alias} is another account's, or the endpoint of account {account} is"),
            "take both from the same Monitoring Spec",
            78,
        ),
        Reason::EmptyPayload => problem(
            "ACT answered: empty resourceMetrics in OTLP payload",
            "Claude sent an export without metrics",
            "claude update",
            65,
        ),
        Reason::Status { status, message, redirect } => {
            of_status(*status, message.as_deref(), redirect.as_deref(), whose)
        }
        Reason::NotOtlp { status, kind } => problem(
            format!("{host} answered {status} with {kind}"),
            "That is not ACT, but a wrong URL or a proxy's login page",
            &format!("compare \"endpoint\" of account {account} with the Monitoring Spec"),
            65,
        ),
        Reason::Failure(failure) => {
            let check = format!("compare \"endpoint\" of account {account} with the Monitoring Spec");
            of_failure(failure, &check, "ACT", &host)
        }
    }
}

/// A status with its phrase, and the sentence that says what a receiver answered.
fn answered(receiver: &str, status: u16, message: Option<&str>) -> (String, String) {
    let phrase = hyper::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason()).unwrap_or("");
    let line = format!("{status} {phrase}").trim_end().to_owned();
    let said = match message {
        Some(message) if !message.eq_ignore_ascii_case(phrase) => format!("{receiver} answered {line} ({message})"),
        _ => format!("{receiver} answered {line}"),
    };
    (line, said)
}

fn of_status(status: u16, message: Option<&str>, redirect: Option<&str>, whose: &Whose<'_>) -> Problem {
    let Whose { account, .. } = whose;
    let (line, said) = answered("ACT", status, message);
    match status {
        401 => problem(
            said,
            "The API token or its user is wrong",
            &format!("act-claude act setup --account {account}"),
            77,
        ),
        403 => problem(
            said,
            "The API token lacks the right to write metrics, or the alias is another account's",
            &format!("act-claude act setup --account {account}"),
            77,
        ),
        404 => problem(
            said,
            "There is no metrics endpoint at this URL",
            &format!("compare \"endpoint\" of account {account} with the Monitoring Spec"),
            78,
        ),
        300..400 => problem(
            match redirect {
                Some(host) => format!("{said} and points to {host}"),
                None => said,
            },
            "The endpoint's URL is wrong, or a proxy wants you to log in",
            &format!("compare \"endpoint\" of account {account} with the Monitoring Spec"),
            78,
        ),
        407 => problem(said, "A proxy asks for credentials", "export HTTPS_PROXY=http://user:password@proxy:port", 78),
        // The text stands in brackets after "waiting", so the status is enough.
        408 | 425 | 429 | 500.. => problem(line, "ACT is busy or not available", "", 75),
        400 => problem(said, "ACT does not accept this export", "act-claude act doctor", 65),
        _ => problem(said, "ACT does not accept this export", "", 65),
    }
}

/// The problem of a receiver that did not answer. `check` is the fix where its URL may be wrong.
fn of_failure(failure: &Failure, check: &str, receiver: &str, host: &str) -> Problem {
    match failure {
        Failure::UnknownHost(host) => {
            problem(format!("{host} has no address"), "DNS does not know the host", check, 75)
        }
        Failure::NoNameServer(host) => problem(
            format!("the address of {host} can't be looked up"),
            "No name server answers: this machine may be offline",
            "",
            75,
        ),
        Failure::Refused => problem(format!("{host} refused the connection"), "No server listens there", check, 75),
        Failure::TimedOut => {
            problem(format!("no answer from {host}"), &format!("{receiver} or the network is slow"), "", 75)
        }
        Failure::NoRoute => problem(format!("no route to {host}"), "This machine is offline", "", 75),
        Failure::Broken(what) => problem(format!("the connection to {host} broke: {what}"), "", "", 75),
        Failure::Tls(what) => problem(
            format!("TLS with {host} failed: {what}"),
            "The certificate is not trusted, it may be a company proxy's",
            "export NODE_EXTRA_CA_CERTS=/path/to/company-ca.pem",
            75,
        ),
        Failure::Handshake { what, cause } => problem(format!("TLS with {host} failed: {what}"), cause, check, 75),
        Failure::Roots { what, cause, fix } => problem(format!("TLS with {host} failed: {what}"), cause, fix, 75),
        Failure::Proxy { place, what } => problem(
            format!("the proxy did not connect to {host}: {what}"),
            &format!("The proxy is not the right one, or does not allow connections to {receiver}"),
            &format!("check {place}, or add {host} to NO_PROXY"),
            75,
        ),
        Failure::ProxyAuthentication { fix } => {
            problem("the proxy answered 407 Proxy Authentication Required", "The proxy asks for credentials", fix, 78)
        }
        Failure::ProxySetting { place, why, fix } => problem(
            format!("{place} can't be used: {why}"),
            &format!("{receiver} is reached through a proxy, and this setting does not name a usable one"),
            fix,
            78,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOSE: Whose<'_> = Whose { account: "acme", alias: "billing", endpoint: "https://act.example/m" };

    fn status(status: u16, message: Option<&str>, redirect: Option<&str>) -> Reason {
        Reason::Status { status, message: message.map(str::to_owned), redirect: redirect.map(str::to_owned) }
    }

    #[test]
    fn each_status_has_its_cause_and_its_fix() {
        let setup = "act-claude act setup --account acme";
        let compare = "compare \"endpoint\" of account acme with the Monitoring Spec";
        for (status_code, said, cause, fix, code) in [
            (401, "ACT answered 401 Unauthorized", "The API token or its user is wrong", setup, 77),
            (403, "ACT answered 403 Forbidden", "The API token lacks the right to write metrics", setup, 77),
            (404, "ACT answered 404 Not Found", "There is no metrics endpoint at this URL", compare, 78),
            (302, "ACT answered 302 Found", "The endpoint's URL is wrong, or a proxy", compare, 78),
            (407, "ACT answered 407 Proxy Authentication Required", "A proxy asks for credentials", "export HTTPS", 78),
            (408, "408 Request Timeout", "ACT is busy or not available", "", 75),
            (425, "425 Too Early", "ACT is busy or not available", "", 75),
            (429, "429 Too Many Requests", "ACT is busy or not available", "", 75),
            (503, "503 Service Unavailable", "ACT is busy or not available", "", 75),
            (599, "599", "ACT is busy or not available", "", 75),
            (400, "ACT answered 400 Bad Request", "ACT does not accept this export", "act-claude act doctor", 65),
            (413, "ACT answered 413 Payload Too Large", "ACT does not accept this export", "", 65),
        ] {
            let problem = of(&status(status_code, None, None), &WHOSE);
            assert_eq!((problem.said.as_str(), problem.code), (said, code));
            assert!(problem.cause.starts_with(cause), "{status_code}: {}", problem.cause);
            assert!(problem.fix.starts_with(fix) && problem.fix.is_empty() == fix.is_empty(), "{}", problem.fix);
        }
    }

    #[test]
    fn the_server_s_words_are_said_where_they_say_more() {
        let said = |message, redirect, code| of(&status(code, Some(message), redirect), &WHOSE).said;
        assert_eq!(said("token expired", None, 401), "ACT answered 401 Unauthorized (token expired)");
        assert_eq!(said("unauthorized", None, 401), "ACT answered 401 Unauthorized");
        assert_eq!(said("Found", Some("login.example"), 302), "ACT answered 302 Found and points to login.example");
    }

    #[test]
    fn an_attribute_that_act_names_is_explained() {
        let words = "unknown attribute vcs.ref.head.name";
        let partial = Verdict::Partial { rejected: 2, message: words.to_owned() };
        for verdict in [partial, Verdict::Rejected(status(400, Some(words), None))] {
            let problem = explain(&verdict, &WHOSE).1.unwrap();
            assert_eq!(problem.cause, "vcs.ref.head.name may come from \"attribute\" of alias billing");
            assert_eq!((problem.fix.as_str(), problem.code), ("set \"attribution\": false at account acme", 65));
        }
    }

    #[test]
    fn each_failure_has_its_words() {
        for (failure, said, code) in [
            (Failure::UnknownHost("h".to_owned()), "h has no address", 75),
            (Failure::NoNameServer("h".to_owned()), "the address of h can't be looked up", 75),
            (Failure::Refused, "act.example refused the connection", 75),
            (Failure::TimedOut, "no answer from act.example", 75),
            (Failure::NoRoute, "no route to act.example", 75),
            (Failure::Broken("x".to_owned()), "the connection to act.example broke: x", 75),
            (Failure::Tls("x".to_owned()), "TLS with act.example failed: x", 75),
            (
                Failure::Roots { what: "x".to_owned(), cause: "c".to_owned(), fix: "f".to_owned() },
                "TLS with act.example failed: x",
                75,
            ),
            (
                Failure::Proxy { place: "P".to_owned(), what: "x".to_owned() },
                "the proxy did not connect to act.example: x",
                75,
            ),
            (
                Failure::ProxyAuthentication { fix: String::new() },
                "the proxy answered 407 Proxy Authentication Required",
                78,
            ),
            (
                Failure::ProxySetting { place: "P".to_owned(), why: "x".to_owned(), fix: String::new() },
                "P can't be used: x",
                78,
            ),
        ] {
            let problem = of(&Reason::Failure(failure), &WHOSE);
            assert_eq!((problem.said.as_str(), problem.code), (said, code));
        }
    }

    #[test]
    fn the_verdict_decides_the_exit_status() {
        let code = |verdict: &Verdict| {
            let (state, problem) = explain(verdict, &WHOSE);
            (state, problem.map(|problem| problem.code))
        };
        // Each reason has an exit status of its own, other than the expected one.
        let failure = Failure::ProxyAuthentication { fix: String::new() };
        let wait = Verdict::Waiting { reason: Reason::Failure(failure), retry_after: None };
        assert_eq!(code(&wait), (State::Waiting, Some(75)));
        assert_eq!(code(&Verdict::Rejected(status(404, None, None))), (State::Rejected, Some(65)));
        assert_eq!(code(&Verdict::NotUnderstood(status(101, None, None))), (State::NotUnderstood, Some(65)));
        assert_eq!(code(&Verdict::NotUnderstood(status(404, None, None))), (State::NotUnderstood, Some(65)));
        assert_eq!(code(&Verdict::Held(Reason::AliasNotFound)), (State::Held, Some(78)));
        assert_eq!(code(&Verdict::Delivered { warning: None }), (State::Delivered, None));
    }
}
