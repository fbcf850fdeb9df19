//! The program in claude's place for tests that need no real client: does what a script in its environment says.
//! The program itself is tests/support/fake_claude/main.rs, built as an example.

use std::path::{Path, PathBuf};

use super::sandbox::Sandbox;

/// Puts the fake claude first on PATH of the sandbox, under the name `claude`; `script` is one step a line:
///
/// - `print TEXT`, `complain TEXT`: a line on standard output, standard error
/// - `post`, `post FILE`: one export to the metrics endpoint as the client would send it (of two points, or FILE's bytes), the answer's status
///   and body noted behind `$FAKE_CLAUDE_LOG`; `post-as HEADER: VALUE` is sent along with every later `post`
/// - `posts COUNT MILLISECONDS`: so many of these exports, with pauses; a 503 is tried twice more. Noted with their names, which begin
///   with `$FAKE_CLAUDE_NAME`
/// - `environment FILE`, `arguments FILE`: what it was given, NUL-terminated
/// - `touch FILE`, `wait FILE`: a barrier
/// - `read`: waits for a line of input
/// - `exit N`, `kill N`: ends
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

/// Where the fake claude notes the answers it got, a line each: status, space, body.
pub fn log(root: &Path) -> PathBuf {
    root.join("answers.log")
}
