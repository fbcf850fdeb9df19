//! Delivers the exports of sessions, session by session and in order, or finds out that they stay. An export that fails while
//! others pass steps aside.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Flush;
use crate::commands::progress::Progress;
use crate::delivery::backlog::{claim, decided};
use crate::delivery::blame::{Blame, Failed};
use crate::delivery::body;
use crate::delivery::sender::Response;
use crate::delivery::target::Target;
use crate::delivery::verdict::Verdict;
use crate::state::outcome::{Problem, State};
use crate::state::record::{self, Later};
use crate::state::spool::{Claim, Header, Refusal, list};
use crate::usage::{self, Disposition};

/// The time between two exports.
const GAP: Duration = Duration::from_millis(5);
/// The time between two attempts to send the same export.
const PAUSE: Duration = Duration::from_millis(500);
/// How long to wait for running sessions, and for other processes, to deliver their exports.
const RUNNING: Duration = Duration::from_secs(5);
/// How many other exports are sent to find out whether ACT fails or only one export.
const PROBES: usize = 3;

/// The exports that a session left, oldest first.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) session: String,
    pub(super) names: VecDeque<String>,
}

/// The result of one attempt to deliver an export.
enum ExportResult {
    /// ACT decided about it. Whether it accepted the export, and did not reject it.
    Passed(bool),
    /// It stays, or is no longer there. Nothing more is to be done.
    Done,
    /// Another process delivers it. The rest of its session is left to that process.
    Busy,
    /// It could not be sent.
    Failed(Box<(Header, Failed)>),
}

impl Flush {
    /// Sends what can be sent. Returns the queues that other processes deliver.
    pub(super) fn deliver(&mut self, mut queues: VecDeque<Queue>, progress: &mut Progress) -> Vec<Queue> {
        let (mut deferred, mut busy) = (Vec::new(), Vec::new());
        while let Some(mut queue) = queues.pop_front() {
            while let Some(name) = queue.names.front().cloned() {
                if self.is_deferred(&name) {
                    deferred.push(name);
                    queue.names.pop_front();
                    continue;
                }
                match self.deliver_one(&name) {
                    ExportResult::Passed(_) | ExportResult::Done => {
                        queue.names.pop_front();
                        progress.step();
                    }
                    ExportResult::Busy => break,
                    ExportResult::Failed(failed) if !failed.1.is_in_doubt() => std::thread::sleep(PAUSE),
                    ExportResult::Failed(failed) => {
                        let (header, failed) = *failed;
                        if let Some(is_accepted) = self.does_another_pass(&header, &mut queue, &mut queues, progress) {
                            self.step_aside(&header, &failed, is_accepted);
                        } else {
                            let key = (header.account.clone(), String::new());
                            self.stuck.insert(key, (State::Waiting, failed.problem.clone()));
                            self.tallies.of(&header).alone = self.is_alone(&queue, &queues).then_some(failed.name);
                            // The next attempt finds the account in `stuck` and counts this export as waiting, like all others.
                            continue;
                        }
                        queue.names.pop_front();
                        progress.step();
                    }
                }
            }
            if !queue.names.is_empty() {
                busy.push(queue);
            }
        }
        for name in deferred {
            if let ExportResult::Failed(failed) = self.deliver_one(&name) {
                self.step_aside(&failed.0, &failed.1, false);
            }
            progress.step();
        }
        busy
    }

    fn is_deferred(&self, name: &str) -> bool {
        self.deferrals.read(name).is_some_and(|note| note.is_aside())
    }

    /// Whether there is no other export to compare the first export of a queue with.
    fn is_alone(&self, queue: &Queue, queues: &VecDeque<Queue>) -> bool {
        queue.names.len() == 1 && queues.iter().all(|queue| queue.names.is_empty()) && self.tallies.nothing_passed()
    }

    /// Sends other exports of the same account that have not failed yet, to find out whether only the first one of `queue` fails.
    /// `None`: none of them passes. Otherwise, whether it was accepted.
    fn does_another_pass(
        &mut self,
        header: &Header,
        queue: &mut Queue,
        queues: &mut VecDeque<Queue>,
        progress: &mut Progress,
    ) -> Option<bool> {
        let behind = queue.names.iter().skip(1);
        let names: Vec<String> = behind.chain(queues.iter().flat_map(|queue| &queue.names)).cloned().collect();
        let mut asked = 0;
        for name in names {
            if asked == PROBES {
                break;
            }
            let is_fit = self.deferrals.read(&name).is_none()
                && list::peek(&self.spool, &name).is_ok_and(|other| other.account == header.account);
            if !is_fit {
                continue;
            }
            match self.deliver_one(&name) {
                ExportResult::Failed(failed) if failed.1.is_in_doubt() => return None,
                ExportResult::Failed(_) => asked += 1,
                ExportResult::Busy => {}
                one => {
                    for queue in queues.iter_mut().chain([&mut *queue]) {
                        queue.names.retain(|other| *other != name);
                    }
                    progress.step();
                    if let ExportResult::Passed(is_accepted) = one {
                        return Some(is_accepted);
                    }
                }
            }
        }
        None
    }

    /// Tries to deliver one export of a session that is over.
    fn deliver_one(&mut self, name: &str) -> ExportResult {
        let claim = match claim(&self.spool, name) {
            Ok(claim) => claim,
            Err(refusal) => return self.refused(name, refusal),
        };
        let header = claim.header.clone();
        let target = match (self.targets.of(&header), &self.choice.to) {
            (Ok(target), _) => target,
            (Err(_), None) if self.choice.is_moved => match self.targets.target(&header.account, &header.alias) {
                Ok(target) => target,
                Err(problem) => return self.stays(claim, State::Held, problem),
            },
            (Err(_), Some(to)) => to.clone(),
            (Err(problem), None) => return self.stays(claim, State::Held, problem),
        };
        let account = (target.account.clone(), String::new());
        let alias = (target.account.clone(), target.alias.clone());
        if let Some((state, problem)) = self.stuck.get(&account).or_else(|| self.stuck.get(&alias)).cloned() {
            return self.stays(claim, state, problem);
        }
        let Ok(body) = body::of(&claim) else {
            self.tallies.unreadable(nix::errno::Errno::ENOMEM);
            return ExportResult::Done;
        };
        let begun = Instant::now();
        let response = self.sender.post(&target, header.points, &body, true);
        drop(body);
        std::thread::sleep(GAP);
        if let Some(failed) = Failed::of(name, &response, begun.elapsed()) {
            if failed.blame == Blame::Account {
                self.stuck.insert(account, (State::Waiting, failed.problem.clone()));
                return self.stays(claim, State::Waiting, failed.problem);
            }
            return ExportResult::Failed(Box::new((header, failed.noted(&mut self.deferrals))));
        }
        match &response.verdict {
            Some(Verdict::Delivered { .. } | Verdict::Partial { .. } | Verdict::Rejected(_)) => {
                self.passed(claim, &response, &target);
                ExportResult::Passed(response.state != State::Rejected)
            }
            _ => {
                let problem = response.problem.unwrap_or_else(|| unreachable!("what stays has a reason"));
                self.stuck.insert(alias, (response.state, problem.clone()));
                self.stays(claim, response.state, problem)
            }
        }
    }

    fn refused(&mut self, name: &str, refusal: Refusal) -> ExportResult {
        match refusal {
            Refusal::Gone => {}
            Refusal::Busy => return ExportResult::Busy,
            Refusal::Corrupt => self.tallies.corrupt += 1,
            Refusal::CorruptStays(errno) => self.tallies.corrupt_stays(errno),
            Refusal::Newer(_) => self.tallies.newer += 1,
            Refusal::Unreadable(errno) | Refusal::ReadOnly(errno) => {
                tracing::debug!(name, %errno, "can't be read");
                self.tallies.unreadable(errno);
            }
        }
        ExportResult::Done
    }

    fn passed(&mut self, claim: Claim, response: &Response, target: &Target) {
        let (header, name) = (claim.header.clone(), claim.name().to_owned());
        let tally = self.tallies.of(&header);
        match &response.verdict {
            Some(Verdict::Rejected(_)) => tally.rejected += 1,
            verdict => {
                tally.delivered += 1;
                tally.points += header.points;
                if let Some(Verdict::Partial { rejected, .. }) = verdict {
                    tally.rejected_points += rejected;
                }
            }
        }
        if response.problem.is_some() {
            tally.problem.clone_from(&response.problem);
        }
        if let Err(error) = decided(&self.spool, claim, response, target) {
            self.tallies.unremoved = Some(crate::system::error::plain(&error));
        }
        self.deferrals.forget(&name);
        tracing::debug!(name, state = ?response.state, "flushed");
    }

    /// Handles an export that fails while others pass: it steps aside, or with `--discard` it is given up.
    fn step_aside(&mut self, header: &Header, failed: &Failed, accepts_others: bool) {
        let note = self.deferrals.step_aside(&failed.name, failed.took, accepts_others);
        if self.choice.discard
            && let Ok(claim) = claim(&self.spool, &failed.name)
        {
            return self.give_up(claim, true);
        }
        note.iter().for_each(|note| self.tallies.of(header).note_deferred(&failed.name, note));
    }

    fn stays(&mut self, claim: Claim, state: State, problem: Problem) -> ExportResult {
        let is_deferred = self.is_deferred(claim.name());
        // An export that waits because ACT is not available is given up only if it is named with `--only`.
        if self.choice.discard && (state != State::Waiting || is_deferred || !self.choice.only.is_empty()) {
            self.give_up(claim, true);
            return ExportResult::Done;
        }
        let tally = self.tallies.of(&claim.header);
        *tally.stays.entry(state).or_default() += 1;
        tally.problem = Some(problem);
        ExportResult::Done
    }

    /// Deletes an export. Its session's record is only changed where the session is over: a running session counts its own exports.
    fn give_up(&mut self, claim: Claim, is_over: bool) {
        let (header, name) = (claim.header.clone(), claim.name().to_owned());
        if self.spool.destination().is_none() {
            usage::decided(self.spool.state(), &header, claim.body(), Disposition::Discarded, 0);
        }
        if let Err(error) = claim.done() {
            self.tallies.unremoved = Some(crate::system::error::plain(&error));
        }
        self.deferrals.forget(&name);
        if is_over {
            let said = "deleted with act flush --discard".to_owned();
            let given_up = Problem { said, cause: String::new(), fix: String::new(), code: 74 };
            let export = Later { id: &header.session, destination: self.spool.destination(), points: header.points };
            record::decided_later(self.spool.state(), export, State::Lost, Some(&given_up), 0);
        }
        self.tallies.of(&header).discarded += 1;
    }

    /// Waits for the exports of running sessions, whose relays have been asked to try now, and for those that other processes
    /// deliver. Counts the exports that leave the spool. Where a session ends meanwhile, delivers the exports that its relay left.
    pub(super) fn wait_for(&mut self, queues: Vec<Queue>, progress: &mut Progress) {
        let mut left: Vec<(Queue, Vec<Header>)> = queues.into_iter().map(|queue| (queue, Vec::new())).collect();
        for (queue, headers) in &mut left {
            queue.names.retain(|name| match list::peek(&self.spool, name) {
                Ok(header) => {
                    headers.push(header);
                    true
                }
                Err(_) => false,
            });
        }
        let deadline = Instant::now() + RUNNING;
        while !left.is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
            for (mut queue, mut headers) in std::mem::take(&mut left) {
                // The lock is read before the spool: a relay that has ended takes no more exports.
                let is_over = !record::is_locked(self.spool.state(), &queue.session);
                let mut stays = VecDeque::new();
                for header in std::mem::take(&mut headers) {
                    let Some(name) = queue.names.pop_front() else { break };
                    if self.has_left(&name) {
                        self.tallies.of(&header).relayed += 1;
                        progress.step();
                    } else {
                        stays.push_back(name);
                        headers.push(header);
                    }
                }
                queue.names = stays;
                if is_over && !queue.names.is_empty() {
                    let busy = self.deliver(VecDeque::from([queue]), progress);
                    left.extend(busy.into_iter().map(|queue| {
                        let kept = headers.iter().filter(|header| queue.names.contains(&name_of(header)));
                        let kept = kept.cloned().collect();
                        (queue, kept)
                    }));
                } else if !queue.names.is_empty() {
                    left.push((queue, headers));
                }
            }
        }
        for header in left.into_iter().flat_map(|(_, headers)| headers) {
            self.still_running(&header);
        }
    }

    fn has_left(&self, name: &str) -> bool {
        std::fs::symlink_metadata(self.spool.queue().join(name))
            .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    }

    fn still_running(&mut self, header: &Header) {
        let name = name_of(header);
        let note = self.deferrals.read(&name).filter(|note| note.is_aside());
        if (note.is_some() || !self.choice.only.is_empty())
            && self.choice.discard
            && let Ok(claim) = claim(&self.spool, &name)
        {
            return self.give_up(claim, false);
        }
        let tally = self.tallies.of(header);
        match note {
            Some(note) => tally.note_deferred(&name, &note),
            None => tally.running += 1,
        }
    }
}

fn name_of(header: &Header) -> String {
    crate::state::spool::name(&header.session, header.sequence)
}
