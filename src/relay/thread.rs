//! Runs work that waits for the disk on a thread of its own, where the system gives one.
//!
//! The system may refuse a thread (`EAGAIN`: a limit on processes, or a container's limit). Then the work is done on the
//! thread that asks for it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// Does one job after another.
#[derive(Debug)]
pub struct Worker {
    name: &'static str,
    jobs: Mutex<Option<Sender<Job>>>,
}

impl Worker {
    /// Starts its thread, where the system gives one.
    pub fn start(name: &'static str) -> Arc<Self> {
        let worker = Self { name, jobs: Mutex::default() };
        drop(worker.jobs());
        Arc::new(worker)
    }

    /// The result of a job; `None`: the job panicked.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (sender, result) = oneshot::channel();
        let job: Job = Box::new(move || drop(sender.send(job())));
        self.hand_over(job);
        result.await.ok()
    }

    fn hand_over(&self, job: Job) {
        let here = match self.jobs() {
            Ok(jobs) => jobs.as_ref().and_then(|thread| thread.send(job).err()).map(|refused| refused.0),
            Err(_) => Some(job),
        };
        if let Some(job) = here {
            tracing::debug!(worker = self.name, "no thread could be started: done on this one");
            done(job);
        }
    }

    /// The channel to the thread, which is started if there is none.
    fn jobs(&self) -> io::Result<MutexGuard<'_, Option<Sender<Job>>>> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.is_none() {
            let (sender, inbox) = channel::<Job>();
            let work = move || inbox.into_iter().for_each(done);
            std::thread::Builder::new().name(self.name.to_owned()).spawn(work)?;
            *jobs = Some(sender);
        }
        Ok(jobs)
    }
}

/// Does a job. A panic ends the job, but not the thread.
fn done(job: Job) {
    let _ = catch_unwind(AssertUnwindSafe(job));
}

/// A thread that is started as soon as the system gives one.
#[derive(Clone)]
pub struct Thread {
    name: &'static str,
    work: Arc<Mutex<Option<Job>>>,
}

impl std::fmt::Debug for Thread {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Thread").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Thread {
    /// A thread that is not started yet.
    pub fn new(name: &'static str, work: impl FnOnce() + Send + 'static) -> Self {
        Self { name, work: Arc::new(Mutex::new(Some(Box::new(work)))) }
    }

    /// Starts it, unless it has been started. After an error this can be tried again.
    pub fn start(&self) -> io::Result<()> {
        if self.lock().is_none() {
            return Ok(());
        }
        let work = self.work.clone();
        let take = move || work.lock().unwrap_or_else(PoisonError::into_inner).take();
        let run = move || take().into_iter().for_each(|work| work());
        std::thread::Builder::new().name(self.name.to_owned()).stack_size(512 * 1024).spawn(run).map(drop)
    }

    /// Whether its work has not begun yet.
    pub fn is_waiting(&self) -> bool {
        self.lock().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Job>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_and_a_panic_costs_only_its_own() {
        let worker = Worker::start("test");
        let name = worker.run(|| std::thread::current().name().map(str::to_owned)).await;
        assert_eq!(name.flatten().as_deref(), Some("test"));
        assert_eq!(worker.run(|| -> u8 { panic!("on purpose") }).await, None);
        assert_eq!(worker.run(|| 7).await, Some(7));
    }

    #[test]
    fn a_thread_does_its_work_once() {
        let (sender, done) = channel();
        let thread = Thread::new("test", move || sender.send(()).expect("heard"));
        assert!(thread.is_waiting());
        for _ in 0..3 {
            thread.start().unwrap();
        }
        done.recv().unwrap();
        assert!(!thread.is_waiting());
        assert!(done.recv().is_err(), "its work was dropped with it");
    }
}
