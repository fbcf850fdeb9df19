//! B8: nothing is waited for where a pipe stands in the place of a file of the state directory, neither by claude nor by a command.

use std::path::{Path, PathBuf};

use nix::sys::stat::Mode;

use crate::support::act::{Act, accepted, refused};
use crate::support::fake_claude;
use crate::support::process::end_relays;
use crate::support::sandbox::{Sandbox, Text, snapshot};

/// A state directory with a delivered, a refused and a waiting export, and a hold.
fn filled() -> (Sandbox, Act) {
    let (mut sandbox, act) = (Sandbox::new(), Act::start());
    let account = sandbox.account(&act.endpoint());
    sandbox.configure(&serde_json::json!({
        "accounts": {"acme": account},
        "aliases": {"billing": {"account": "acme", "id": "id-billing", "provider_type": "P"}},
        "default": "billing", "exit_wait_ms": 20_000
    }));
    fake_claude::install(&mut sandbox, "post");
    for reply in [accepted(), refused(400, "malformed"), refused(503, "later"), refused(401, "")] {
        act.answer(reply);
        assert_eq!(sandbox.act_claude(&["-p", "hi"]).output().unwrap().code(), 0);
        end_relays(sandbox.root());
    }
    for words in [&["act", "doctor"][..], &["act", "usage"]] {
        sandbox.act_claude(words).output().unwrap();
    }
    (sandbox, act)
}

/// Its files, and those that only some state directories have.
fn places(state: &Path) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = snapshot(state).into_keys().collect();
    places.extend(["spool/pruned.json", "clients.json", "log", "usage/lock"].map(|name| state.join(name)));
    places.sort();
    places.dedup();
    places
}

#[test]
fn b8_a_pipe_in_a_file_s_place_is_not_waited_for() {
    let (sandbox, _act) = filled();
    let (state, pristine) = (sandbox.state(), sandbox.root().join("pristine"));
    let copy = |from: &Path, to: &Path| {
        let _ = std::fs::remove_dir_all(to);
        assert!(std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
    };
    copy(&state, &pristine);
    let places = places(&state);
    assert!(places.len() > 10, "{places:?}");
    for place in places {
        copy(&pristine, &state);
        let _ = std::fs::remove_file(&place);
        nix::unistd::mkfifo(&place, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        for words in [
            &["-p", "hi"][..],
            &["act", "history"],
            &["act", "usage"],
            &["act", "doctor"],
            &["act", "statusline"],
            &["act", "flush"],
        ] {
            let mut command = sandbox.command("timeout");
            command.args(["--signal=KILL", "30"]).arg(crate::support::act_claude()).args(words);
            let output = command.output().unwrap();
            assert_ne!(output.status.code(), Some(137), "{words:?} waits for {}", place.display());
            assert!(output.status.code().is_some(), "{words:?} waits for {}", place.display());
            if words[0] == "-p" {
                assert_eq!(output.code(), 0, "{}: {}", place.display(), output.err());
            }
        }
        end_relays(sandbox.root());
    }
}
