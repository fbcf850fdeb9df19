//! Whether a failed attempt concerns only one export, or all exports of the account (pure).

use std::time::Duration;

use nix::errno::Errno;

use super::sender::Response;
use crate::delivery::verdict::{Failure, Reason, Verdict};
use crate::state::outcome::Problem;
use crate::state::spool::deferral::Deferrals;

/// An export that failed this often for a reason that may be its own steps aside as soon as another one passes.
pub const TRIES: u32 = 3;

/// What a failure may concern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// ACT, or the network to it: every export would fail.
    Account,
    /// Perhaps only this export: it is in doubt after this many failed tries, and then another export is sent to find out.
    Export(u32),
    /// Its file, which can't be read: no request is needed to find out.
    File,
}

/// What a failed attempt may concern; `None`: the verdict is not a failure that is tried again.
pub fn blame(verdict: &Verdict) -> Option<Blame> {
    let Verdict::Waiting { reason, retry_after } = verdict else { return None };
    // A server that asks for a pause means all requests of the client.
    if retry_after.is_some_and(|pause| pause > Duration::ZERO) {
        return Some(Blame::Account);
    }
    Some(match reason {
        Reason::Status { status: 408 | 500.., .. } => Blame::Export(TRIES),
        Reason::Failure(Failure::Broken(_)) => Blame::Export(TRIES),
        // An export without an answer may delay the others by one time limit, not by three.
        Reason::Failure(Failure::TimedOut) => Blame::Export(1),
        _ => Blame::Account,
    })
}

/// The problem of a file that can't be read.
fn unreadable(errno: Errno) -> Problem {
    let said = format!("its file can't be read now ({})", errno.desc());
    Problem { said, cause: String::new(), fix: String::new(), code: 75 }
}

/// An attempt that failed.
#[derive(Debug, Clone)]
pub struct Failed {
    /// The export's name in the spool.
    pub name: String,
    /// Why it failed.
    pub problem: Problem,
    /// What the failure may concern.
    pub blame: Blame,
    /// How often it has failed so far for a reason that may be its own.
    pub tries: u32,
    /// How long the attempt took.
    pub took: Duration,
    /// The pause the server asked for.
    pub retry_after: Option<Duration>,
}

impl Failed {
    /// The failed attempt that a response describes; `None`: it is not a failure that is tried again.
    pub fn of(name: &str, response: &Response, took: Duration) -> Option<Self> {
        let verdict = response.verdict.as_ref()?;
        let (blame, problem) = (blame(verdict)?, response.problem.clone()?);
        let Verdict::Waiting { retry_after, .. } = verdict else { return None };
        Some(Self { name: name.to_owned(), problem, blame, tries: 0, took, retry_after: *retry_after })
    }

    /// The export's file can't be read now.
    pub fn to_read(name: String, errno: Errno) -> Self {
        let (problem, took) = (unreadable(errno), Duration::ZERO);
        Self { name, problem, blame: Blame::File, tries: 0, took, retry_after: None }
    }

    /// Notes the failure for all processes, where it may concern only this export.
    pub fn noted(mut self, deferrals: &mut Deferrals) -> Self {
        if self.blame != Blame::Account {
            self.tries = deferrals.failed(&self.name, &self.problem, self.took).tries;
        }
        self
    }

    /// Whether the export's file can't be read.
    pub fn is_unreadable(&self) -> bool {
        self.blame == Blame::File
    }

    /// Whether the export has failed often enough to test whether another one passes.
    pub fn is_in_doubt(&self) -> bool {
        matches!(self.blame, Blame::Export(patience) if self.tries >= patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_an_export_s_own_problem() {
        let waiting = |reason, retry_after: Option<u64>| Verdict::Waiting {
            reason,
            retry_after: retry_after.map(Duration::from_secs),
        };
        let status = |status| Reason::Status { status, message: None, redirect: None };
        for (verdict, expected) in [
            (waiting(status(500), None), Some(Blame::Export(3))),
            (waiting(status(502), None), Some(Blame::Export(3))),
            (waiting(status(503), None), Some(Blame::Export(3))),
            (waiting(status(503), Some(0)), Some(Blame::Export(3))),
            (waiting(status(408), None), Some(Blame::Export(3))),
            (waiting(status(503), Some(1)), Some(Blame::Account)),
            (waiting(status(429), None), Some(Blame::Account)),
            (waiting(status(425), None), Some(Blame::Account)),
            (waiting(Reason::Failure(Failure::Broken("closed".into())), None), Some(Blame::Export(3))),
            (waiting(Reason::Failure(Failure::TimedOut), None), Some(Blame::Export(1))),
            (waiting(Reason::Failure(Failure::Refused), None), Some(Blame::Account)),
            (waiting(Reason::Failure(Failure::NoRoute), None), Some(Blame::Account)),
            (waiting(Reason::Failure(Failure::UnknownHost("h".into())), None), Some(Blame::Account)),
            (waiting(Reason::Failure(Failure::Tls("t".into())), None), Some(Blame::Account)),
            (
                waiting(Reason::Failure(Failure::Proxy { place: "p".into(), what: "w".into() }), None),
                Some(Blame::Account),
            ),
            (Verdict::Delivered { warning: None }, None),
            (Verdict::Held(status(401)), None),
            (Verdict::Rejected(status(400)), None),
        ] {
            assert_eq!(blame(&verdict), expected, "{verdict:?}");
        }
    }
}
