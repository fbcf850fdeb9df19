//! System files (/etc/act-claude, /etc/claude-code) for one command only: in its own mount namespace.

use std::process::Command;

use super::sandbox::Sandbox;

/// `command` with these `files` visible (absolute paths below /etc, with their content). `None`: skipped, with a
/// message.
pub fn with_files(sandbox: &Sandbox, files: &[(&str, impl AsRef<[u8]>)], command: &Command) -> Option<Command> {
    let may = Command::new("unshare").args(["-m", "true"]).output().is_ok_and(|output| output.status.success());
    if !may {
        super::skip("no mount namespace: run the tests as root");
        return None;
    }
    let etc = tempfile::Builder::new().prefix("etc-").tempdir_in(sandbox.root()).expect("a directory").keep();
    let copied = Command::new("cp").args(["-a", "/etc/."]).arg(&etc).status().expect("cp");
    assert!(copied.success(), "a copy of /etc");
    for (path, content) in files {
        let path = etc.join(path.strip_prefix("/etc/").expect("below /etc"));
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("its directory");
        std::fs::write(path, content).expect("a file");
    }
    let mut wrapped = Command::new("unshare");
    wrapped.args(["-m", "sh", "-c", r#"mount --bind "$0" /etc && exec "$@""#]).arg(&etc);
    wrapped.arg(command.get_program()).args(command.get_args()).env_clear();
    wrapped.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(directory) = command.get_current_dir() {
        wrapped.current_dir(directory);
    }
    Some(wrapped)
}
