//! A16: when act-claude is killed, claude ends too, and its exports are delivered.

use nix::sys::signal::Signal;

use crate::support::eventually;
use crate::support::probe::{Form, ProbeLab, WRAPPED, ended, is_gone};

#[test]
fn a16_supervisor_killed() {
    let lab = ProbeLab::new();
    for form in WRAPPED {
        let mut run = lab.start(form, "catch TERM\npost\nready\nhear TERM\npost\nexit 0");
        let probe = run.log.wait_ready();
        run.signal(Signal::SIGKILL);
        assert_eq!(ended(run.wait()), "signal 9");
        assert_eq!(run.log.wait_heard(1)[0].split(' ').next(), Some("TERM"), "{form:?}");
        eventually("the end of the probe", || is_gone(probe).then_some(()));
        if form == Form::Relay {
            let posts = run.log.notes().iter().filter(|note| note["post"] == 200).count();
            assert_eq!(posts, 2, "the relay takes what a dying claude flushes");
            lab.act.wait_for(2);
        }
    }
}

/// Stopped by Ctrl-Z, then the job's first process is killed: no stopped process is left.
#[test]
fn a16_supervisor_killed_while_stopped() {
    use std::os::unix::process::CommandExt;
    let lab = ProbeLab::new();
    for form in WRAPPED {
        let (mut command, log) = lab.prepare(form, "ready\nstop STOP\nuntil /never");
        command.process_group(0);
        let mut run = crate::support::probe::Run::start(command, log);
        let probe = run.log.wait_ready();
        eventually("both stopped", || {
            [probe, run.pid()]
                .iter()
                .all(|&pid| crate::support::probe::state(pid).is_some_and(|s| s.0 == 'T'))
                .then_some(())
        });
        run.signal(Signal::SIGKILL);
        run.wait();
        eventually("the end of the probe", || is_gone(probe).then_some(()));
    }
}
