//! Managed settings from a configuration profile (MDM) of macOS. The system keeps them as property lists. Claude Code reads the
//! first one that is there, the user's before the machine's, and then no managed file.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::decoding;
use super::file::LARGEST;
use super::unread::Reason;
use crate::system::child::{self, Bounds, ChildError, Kept};
use crate::system::descriptors::no_input_or_output;
use crate::system::error::plain;

/// Where the system keeps the preferences that profiles set.
const DIRECTORY: &str = "/Library/Managed Preferences";
/// Claude Code's preferences.
const NAME: &str = "com.anthropic.claudecode.plist";
/// The system's program that converts property lists.
const CONVERTER: &str = "/usr/bin/plutil";
/// How long a conversion may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// The property list that claude reads, and its settings; `None` where it reads files.
pub fn here() -> Option<(PathBuf, Result<String, Reason>)> {
    let directory = Path::new(DIRECTORY);
    if !cfg!(target_os = "macos") || !directory.is_dir() {
        return None;
    }
    // The name is asked for only here, because the answer comes from another process.
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.name);
    let read = |path: PathBuf| text(&path).map(|text| (path, text));
    places(directory, user.as_deref()).into_iter().filter_map(read).find(|(_, text)| counts(text))
}

/// Where claude looks, the strongest place first.
fn places(directory: &Path, user: Option<&str>) -> Vec<PathBuf> {
    let user = user.filter(|user| !user.is_empty()).map(|user| directory.join(user).join(NAME));
    user.into_iter().chain([directory.join(NAME)]).collect()
}

/// Whether a property list takes the place of the files: it has settings, or may have some.
fn counts(text: &Result<String, Reason>) -> bool {
    text.as_ref().map_or(true, |text| decoding::trim(text) != "{}")
}

/// Whether `path` is such a property list.
pub fn is_one(path: &Path) -> bool {
    cfg!(target_os = "macos") && path.ends_with(NAME)
}

/// The settings as JSON; `None` where there is no such file.
pub fn text(path: &Path) -> Option<Result<String, Reason>> {
    path.symlink_metadata().is_ok().then(|| converted(Path::new(CONVERTER), path))
}

fn converted(converter: &Path, path: &Path) -> Result<String, Reason> {
    let mut command = Command::new(converter);
    command.args(["-convert", "json", "-o", "-", "--"]).arg(path).env_clear().stderr(no_input_or_output());
    let bytes = usize::try_from(LARGEST).unwrap_or(usize::MAX);
    let finished = child::run(&mut command, b"", Kept::Output, Bounds { time: PATIENCE, bytes });
    let finished = finished.map_err(|error| match error {
        ChildError::Start(error) | ChildError::Watch(error) => Reason::NotConverted(plain(&error)),
        ChildError::Late => Reason::NotConverted(format!("it took longer than {} s", PATIENCE.as_secs())),
    })?;
    match finished.status.code() {
        Some(0) => Ok(decoding::decode(finished.bytes.to_vec())),
        _ => Err(Reason::NotConverted(finished.status.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::claude::settings::{LayerKind, layer};

    #[test]
    fn the_user_s_preferences_come_before_the_machine_s() {
        let found = |user| places(Path::new("/P"), user);
        let machine = PathBuf::from("/P/com.anthropic.claudecode.plist");
        assert_eq!(found(Some("ada")), [PathBuf::from("/P/ada/com.anthropic.claudecode.plist"), machine.clone()]);
        assert_eq!((found(None), found(Some(""))), (vec![machine.clone()], vec![machine]));
    }

    #[test]
    fn preferences_without_settings_leave_the_files_in_effect() {
        let refused = Err(Reason::NotConverted("x".to_owned()));
        for (text, expected) in [
            (Ok("{}\n".to_owned()), false),
            (Ok(r#"{"model":"x"}"#.to_owned()), true),
            (Ok(String::new()), true),
            (refused, true),
        ] {
            assert_eq!(counts(&text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_property_list_becomes_a_layer() {
        let directory = tempfile::tempdir().unwrap();
        let converter = directory.path().join("plutil");
        let script = "#!/bin/sh\n[ \"$*\" = '-convert json -o - -- /P/p.plist' ] || exit 9\n";
        let convert = |rest: &str| {
            std::fs::write(&converter, format!("{script}{rest}\n")).unwrap();
            std::fs::set_permissions(&converter, std::fs::Permissions::from_mode(0o755)).unwrap();
            converted(&converter, Path::new("/P/p.plist"))
        };
        // As plutil writes it, with the keys that a profile adds.
        let json =
            r#"{"PayloadUUID":"1","env":{"OTEL_METRICS_EXPORTER":"none","A":"http:\/\/h"},"cleanupPeriodDays":5}"#;
        let text = convert(&format!("echo '{json}'")).unwrap();
        let layer = layer(LayerKind::Managed, "p.plist".into(), &text).unwrap();
        assert_eq!((layer.get("OTEL_METRICS_EXPORTER"), layer.get("A")), (Some("none"), Some("http://h")));
        // A date, for example, is no JSON.
        let refused = convert("echo 'invalid object in plist for destination format'; exit 1");
        assert_eq!(refused, Err(Reason::NotConverted("exit status: 1".to_owned())));
        assert!(matches!(converted(Path::new("/none"), Path::new("/P")), Err(Reason::NotConverted(_))));
        assert_eq!(super::text(&directory.path().join("missing.plist")), None);
    }
}
