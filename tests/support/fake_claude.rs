//! A stand-in for claude, for tests that need no real client: it runs a script from its environment. The program itself
//! is tests/support/fake_claude/main.rs, built as an example.

use std::path::{Path, PathBuf};

use super::sandbox::Sandbox;

/// Puts the fake claude first on PATH of the sandbox, under the name `claude`; `script` has one step a line:
///
/// - `print TEXT`, `complain TEXT`: a line on standard output, standard error
/// - `post`, `post FILE`: one export to the metrics endpoint as the client would send it (of two points, or FILE's
///   bytes); the answer's status and body are written to `$FAKE_CLAUDE_LOG`; `post-as HEADER: VALUE` adds a header to
///   every later `post`
/// - `posts COUNT MILLISECONDS`: this many exports, with pauses; after a 503 two more attempts. They are written to the
///   log with their names, which begin with `$FAKE_CLAUDE_NAME`
/// - `environment FILE`, `arguments FILE`: writes its environment or arguments, NUL-terminated
/// - `touch FILE`, `wait FILE`: a barrier
/// - `read`: waits for a line of input
/// - `exit N`, `kill N`: ends with a status, by a signal
pub fn install(sandbox: &mut Sandbox, script: &str) -> PathBuf {
    let directory = sandbox.root().join("fake");
    std::fs::create_dir_all(&directory).expect("a directory");
    let claude = directory.join("claude");
    if std::fs::symlink_metadata(&claude).is_err() {
        std::os::unix::fs::symlink(super::example("fake_claude"), &claude).expect("a link");
        sandbox.path_first(&directory);
    }
    sandbox.set("FAKE_CLAUDE", script);
    let log = log(sandbox.root());
    sandbox.set("FAKE_CLAUDE_LOG", &log);
    claude
}

/// The file in which the fake claude records ACT's answers, one a line: status, space, body.
pub fn log(root: &Path) -> PathBuf {
    root.join("answers.log")
}
