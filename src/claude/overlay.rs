//! The settings overlay: `--settings FILE` with our variables, for a session whose settings files would
//! override them (T2, T5, T7 in docs/observed-claude.md).
//!
//! Claude prints the file's path in its resume hint. So the file stays in the state directory, and after the session holds only
//! the user's own settings. Until then these are in a file beside it (`NAME.own.json`), which the session's supervisor locks. If
//! a supervisor was killed, the next overlay restores its file.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::fcntl::{Flock, FlockArg};
use serde_json::value::RawValue;

use crate::claude::arguments::{self, Call};
use crate::claude::version::Version;
use crate::state::{self, prune};
use crate::system::file;
use crate::text::json::{Members, unquoted};

/// For how long, and for how many ended sessions, the resume hint works.
const BOUNDS: prune::Bounds =
    prune::Bounds { files: 1000, ..prune::Bounds::of_age(Duration::from_secs(90 * 24 * 60 * 60)) };
/// For how long a file without its final name may be one that a session is still writing.
const UNFINISHED: prune::Bounds = prune::Bounds::of_age(Duration::from_secs(24 * 60 * 60));
/// The ending of the file with the user's own settings, beside an overlay in use.
const OWN: &str = "own.json";

/// The first version that takes `--settings` (July 2025). An older one refuses to start with it.
const SETTINGS: Version = Version::new(1, 0, 61);

/// Whether this client is known not to take an overlay. One of an unknown version gets it: without it a client of today would
/// not report where its settings override the environment.
pub fn is_refused_by(client: Option<Version>) -> bool {
    client.is_some_and(|version| version < SETTINGS)
}

/// Whether claude's arguments may get another one: only where they start a session in this terminal. After a bare word
/// `--settings` is refused, and before one it may turn a subcommand into a prompt (T6 in docs/observed-claude.md).
pub fn is_allowed(args: &[OsString]) -> bool {
    arguments::call(args) == Call::Session
        && !arguments::is_background(args)
        && !args.iter().any(|arg| arg == "remote-control" || arg == "rc")
}

/// `own`, the user's settings as text, with `variables` in its `env`; everything else stays as it is written. With `helper_off`
/// an empty headers helper switches the user's off (T9 in docs/observed-claude.md). Where claude ignores `own` as a whole, the
/// result holds only our settings.
pub fn merge(own: &str, variables: &[(String, String)], helper_off: bool) -> String {
    let helper = helper_off.then(|| member(&quoted(HELPER), "\"\""));
    let Some((mut settings, mut env)) = parts(own) else {
        return object(helper.into_iter().chain([member("\"env\"", &object(written(variables)))]));
    };
    settings.retain(|(name, _)| !(helper_off && is_named(name, HELPER)));
    env.retain(|(name, _)| unquoted(name.get()).is_none_or(|name| variables.iter().all(|(ours, _)| *ours != name)));
    let env = object(as_written(&env).chain(written(variables)));
    object(as_written(&settings).chain(helper).chain([member("\"env\"", &env)]))
}

type Written<'a> = Vec<(&'a RawValue, &'a RawValue)>;

/// The members of a settings object except `env`, and those of its `env`; `None` where claude ignores the whole object.
fn parts(own: &str) -> Option<(Written<'_>, Written<'_>)> {
    let Members(mut settings) = serde_json::from_str(own).ok()?;
    let refused = |key: &str, firsts: &str| value_of(&settings, key).is_some_and(|value| !firsts.contains(&value[..1]));
    if REQUIRED.iter().any(|(key, firsts)| refused(key, firsts)) {
        return None;
    }
    let Members(env) = serde_json::from_str(value_of(&settings, "env").unwrap_or("{}")).ok()?;
    settings.retain(|(name, _)| !is_named(name, "env"));
    Some((settings, env))
}

/// The value of a member. Claude uses the last one of repeated members.
fn value_of<'a>(members: &Written<'a>, key: &str) -> Option<&'a str> {
    members.iter().rev().find(|(name, _)| is_named(name, key)).map(|(_, value)| value.get())
}

fn is_named(name: &RawValue, key: &str) -> bool {
    unquoted(name.get()).is_some_and(|name| name == key)
}

/// Keys, and the characters that their values must start with. With any other value both clients ignore all of the settings
/// (docs/observed-claude.md, "Settings files"), so that ours would be lost, too.
const REQUIRED: [(&str, &str); 7] = [
    ("$schema", "\""),
    ("cleanupPeriodDays", "0123456789"),
    ("model", "\""),
    ("otelHeadersHelper", "\""),
    ("permissions", "{"),
    ("sandbox", "{"),
    ("statusLine", "{"),
];

fn written(variables: &[(String, String)]) -> impl Iterator<Item = String> {
    variables.iter().map(|(name, value)| member(&quoted(name), &quoted(value)))
}

const HELPER: &str = "otelHeadersHelper";

fn as_written(members: &[(&RawValue, &RawValue)]) -> impl Iterator<Item = String> {
    members.iter().map(|(name, value)| member(name.get(), value.get()))
}

fn member(name: &str, value: &str) -> String {
    format!("{name}:{value}")
}

fn object(members: impl Iterator<Item = String>) -> String {
    format!("{{{}}}", members.collect::<Vec<_>>().join(",\n"))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// `args` with `path` as the effective `--settings`: the last one is replaced in place; without one, it is put in front.
pub fn rewrite(args: &[OsString], path: &Path) -> Vec<OsString> {
    let mut args = args.to_vec();
    match arguments::argument_position(&args) {
        Some(arguments::Position::Separate(value)) => args[value] = path.into(),
        Some(arguments::Position::Joined(at)) => {
            args[at] = OsString::from_vec([b"--settings=", path.as_os_str().as_bytes()].concat());
        }
        None => drop(args.splice(0..0, [OsString::from("--settings"), path.into()])),
    }
    args
}

/// The directory of the overlays.
pub fn directory(state: &Path) -> PathBuf {
    state.join("overlay")
}

/// The file with the user's own settings, where `path` is an overlay in use.
pub fn own_beside(state: &Path, path: &Path) -> Option<PathBuf> {
    let is_ours = path.parent()?.canonicalize().ok()? == directory(state).canonicalize().ok()?;
    Some(path.with_extension(OWN)).filter(|own| is_ours && own.is_file())
}

/// An overlay in use.
#[derive(Debug)]
pub struct Overlay {
    path: PathBuf,
    own: PathBuf,
    /// Held until the session ends.
    _lock: Flock<File>,
}

impl Overlay {
    /// Writes `merged` for claude to read, and beside it `own`, the user's settings as they were given.
    pub fn write(state: &Path, name: &str, merged: &str, own: &[u8]) -> io::Result<Self> {
        state::prepare(state)?;
        let directory = directory(state);
        state::make_private(&directory)?;
        settle(&directory);
        prune::prune(ended(&directory), BOUNDS, SystemTime::now());
        prune::prune(unfinished(&directory), UNFINISHED, SystemTime::now());
        let path = directory.join(format!("{name}.json"));
        let beside = path.with_extension(OWN);
        // Under its own name the file is locked from the first moment on: another session would take one that is not for that of a
        // killed supervisor.
        let (file, unfinished) =
            tempfile::Builder::new().prefix(file::UNFINISHED).tempfile_in(&directory)?.into_parts();
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| error)?;
        let mut file: &File = &lock;
        file.write_all(own)?;
        unfinished.persist(&beside)?;
        let overlay = Self { path, own: beside, _lock: lock };
        file::create_private(&overlay.path)?.write_all(merged.as_bytes())?;
        Ok(overlay)
    }

    /// The path of the file for claude.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Overlay {
    /// From now on the file holds only the user's own settings.
    fn drop(&mut self) {
        let _ = fs::rename(&self.own, &self.path);
    }
}

/// Restores the files of overlays whose supervisor was killed.
fn settle(directory: &Path) {
    for path in prune::entries(directory) {
        let Some(name) = path.file_name().and_then(OsStr::to_str).and_then(|name| name.strip_suffix(OWN)) else {
            continue;
        };
        let locked = file::open_to_lock(&path).map(|file| Flock::lock(file, FlockArg::LockExclusiveNonblock));
        if let Ok(Ok(_lock)) = locked {
            let _ = fs::rename(&path, directory.join(format!("{name}json")));
        }
    }
}

/// The files of ended sessions: neither overlays in use, nor the user's own settings beside them.
fn ended(directory: &Path) -> impl Iterator<Item = PathBuf> {
    prune::entries(directory)
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .filter(|path| !path.to_string_lossy().ends_with(OWN) && !path.with_extension(OWN).exists())
}

/// The files that are being written, and those that a killed process has left so.
fn unfinished(directory: &Path) -> impl Iterator<Item = PathBuf> {
    prune::entries(directory).filter(|path| file::is_unfinished(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &[&str]) -> Vec<OsString> {
        line.iter().map(OsString::from).collect()
    }

    #[test]
    fn only_a_session_in_this_terminal_gets_one() {
        for line in [&[][..], &["-p", "hi"], &["two words"], &["--resume", "x"], &["--settings", "x"]] {
            assert!(is_allowed(&args(line)), "{line:?}");
        }
        for line in [
            &["mcp", "list"][..],
            &["hello"],
            &["--bg", "hi"],
            &["-p", "x", "--background"],
            &["--verbose", "remote-control"],
            &["--x", "rc"],
            &["--version"],
        ] {
            assert!(!is_allowed(&args(line)), "{line:?}");
        }
    }

    #[test]
    fn the_last_one_is_rewritten_in_place() {
        let rewritten = |line: &[&str]| {
            let rewritten = rewrite(&args(line), Path::new("/o/x.json")).into_iter();
            rewritten.map(|arg| arg.into_string().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(rewritten(&["-p", "hi"]), ["--settings", "/o/x.json", "-p", "hi"]);
        assert_eq!(rewritten(&["-p", "--settings", "a", "hi"]), ["-p", "--settings", "/o/x.json", "hi"]);
        assert_eq!(rewritten(&["--settings=a", "--settings=b"]), ["--settings=a", "--settings=/o/x.json"]);
        assert_eq!(rewritten(&["--settings=b", "--settings", "{}"]), ["--settings=b", "--settings", "/o/x.json"]);
        assert_eq!(
            rewritten(&["-p", "--", "--settings", "a"]),
            ["--settings", "/o/x.json", "-p", "--", "--settings", "a"]
        );
        assert_eq!(rewritten(&["-p", "--settings"]), ["--settings", "/o/x.json", "-p", "--settings"]);
    }

    #[test]
    fn the_users_own_settings_stay() {
        let variables = [("A".to_owned(), "new".to_owned()), ("C".to_owned(), "1".to_owned())];
        let merged = merge(r#"{"model":"x","env":{"A":"old","B":2},"otelHeadersHelper":"h"}"#, &variables, false);
        let merged: serde_json::Value = serde_json::from_str(&merged).unwrap();
        let expected: serde_json::Value =
            serde_json::from_str(r#"{"model":"x","env":{"A":"new","B":2,"C":"1"},"otelHeadersHelper":"h"}"#).unwrap();
        assert_eq!(merged, expected);
        // Numbers beyond 64 bits, half surrogate pairs, repeated members: everything that is not ours stays as it is written.
        let odd =
            r#"{"n":123456789012567834567890123,"\ud800":"\udc00","env":{"Z":1},"env":{"\u0041":"old","B":1e400}}"#;
        let kept = r#"{"n":123456789012567834567890123,
"\ud800":"\udc00",
"env":{"B":1e400,
"A":"new",
"C":"1"}}"#;
        assert_eq!(merge(odd, &variables, false), kept);
        let off = merge(r#"{"otelHeadersHelper":"h","otelHeadersHelper":"i","a":1}"#, &[], true);
        assert_eq!(off, "{\"a\":1,\n\"otelHeadersHelper\":\"\",\n\"env\":{}}");
        assert_eq!(merge("", &[], true), "{\"otelHeadersHelper\":\"\",\n\"env\":{}}");
        // Where claude ignores the user's settings as a whole, only ours remain.
        for ignored in ["", "[]", r#"{"a":1,}"#, r#"{"env":[]}"#, r#"{"env":null}"#, r#"{"permissions":5}"#] {
            assert_eq!(merge(ignored, &variables, false), "{\"env\":{\"A\":\"new\",\n\"C\":\"1\"}}", "{ignored}");
        }
    }

    #[test]
    fn at_the_end_it_is_just_the_users() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        let overlay = Overlay::write(state, "a", r#"{"env":{"X":"1"}}"#, b"{ }").unwrap();
        let path = overlay.path().to_path_buf();
        assert_eq!(fs::read_to_string(&path).unwrap(), r#"{"env":{"X":"1"}}"#);
        assert_eq!(own_beside(state, &path), Some(directory(state).join("a.own.json")));
        // Another session's start leaves it alone.
        drop(Overlay::write(state, "b", "m", b"o").unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), r#"{"env":{"X":"1"}}"#);
        drop(overlay);
        assert_eq!(fs::read_to_string(&path).unwrap(), "{ }");
        assert_eq!(own_beside(state, &path), None);
        assert_eq!(prune::entries(&directory(state)).count(), 2);
    }

    #[test]
    fn what_a_killed_session_left_is_settled_by_the_next() {
        let state = tempfile::tempdir().unwrap();
        let overlay = Overlay::write(state.path(), "a", "merged", b"own").unwrap();
        let path = overlay.path().to_path_buf();
        drop(overlay);
        // As a killed supervisor leaves it: two files, no lock.
        fs::write(&path, "merged").unwrap();
        fs::write(path.with_extension(OWN), "own").unwrap();
        drop(Overlay::write(state.path(), "b", "m", b"o").unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "own");
    }

    #[test]
    fn sessions_that_start_at_the_same_moment_leave_each_other_s_files_alone() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        let session = |name: String| {
            let overlay = Overlay::write(state, &name, "merged", b"own").unwrap();
            let own = own_beside(state, overlay.path()).expect("the user's own settings");
            assert_eq!(fs::read_to_string(own).unwrap(), "own");
            assert_eq!(fs::read_to_string(overlay.path()).unwrap(), "merged");
        };
        std::thread::scope(|scope| {
            (0..4)
                .for_each(|one| drop(scope.spawn(move || (0..50).for_each(|round| session(format!("{one}-{round}"))))));
        });
        assert_eq!(prune::entries(&directory(state)).count(), 200, "nothing is left behind");
    }

    #[test]
    fn what_was_never_finished_goes_after_a_while() {
        let state = tempfile::tempdir().unwrap();
        drop(Overlay::write(state.path(), "a", "m", b"o").unwrap());
        let paths = ["new", "old"].map(|name| directory(state.path()).join(format!("{}{name}", file::UNFINISHED)));
        let files = paths.each_ref().map(|path| file::create_private(path).unwrap());
        files[1].set_modified(SystemTime::now() - UNFINISHED.age * 2).unwrap();
        drop(Overlay::write(state.path(), "b", "m", b"o").unwrap());
        assert_eq!(paths.map(|path| path.exists()), [true, false]);
    }

    #[test]
    fn old_ones_go() {
        let state = tempfile::tempdir().unwrap();
        let used = Overlay::write(state.path(), "used", "m", b"o").unwrap();
        drop(Overlay::write(state.path(), "ended", "m", b"o").unwrap());
        let directory = directory(state.path());
        prune::prune(ended(&directory), BOUNDS, SystemTime::now());
        assert_eq!(prune::entries(&directory).count(), 3);
        prune::prune(ended(&directory), BOUNDS, SystemTime::now() + BOUNDS.age * 2);
        assert_eq!(prune::entries(&directory).count(), 2);
        assert!(used.path().exists());
    }
}
