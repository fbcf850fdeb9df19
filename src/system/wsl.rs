//! Windows Subsystem for Linux: which paths lie on a drive of Windows, and which programs are Windows' own (docs/wsl.md).

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A Linux inside of Windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wsl {
    /// Each mount point, and whether a drive of Windows is mounted there.
    mounts: Vec<(PathBuf, bool)>,
}

impl Wsl {
    /// `None` where this is no such Linux.
    pub fn here() -> Option<Self> {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
        // Some mount point may have a name that is not UTF-8.
        let mounts = || String::from_utf8_lossy(&fs::read("/proc/self/mountinfo").unwrap_or_default()).into_owned();
        Self::read(&release, mounts)
    }

    fn read(release: &str, mounts: impl FnOnce() -> String) -> Option<Self> {
        let is_wsl = release.to_ascii_lowercase().contains("microsoft");
        is_wsl.then(|| Self { mounts: mounts().lines().filter_map(mount).collect() })
    }

    /// Whether `path`, which is absolute, lies on a drive of Windows. There owner and mode of a file need not be true, locks may
    /// not hold, and names differ by more than their case.
    pub fn is_on_drive(&self, path: &Path) -> bool {
        let above = self.mounts.iter().filter(|(point, _)| path.starts_with(point));
        // Of mounts at the same place the last one is effective.
        above.max_by_key(|(point, _)| point.components().count()).is_some_and(|(_, is_drive)| *is_drive)
    }
}

/// A line of `/proc/self/mountinfo`: `ID PARENT DEVICE ROOT POINT OPTIONS … - TYPE SOURCE OPTIONS`.
fn mount(line: &str) -> Option<(PathBuf, bool)> {
    let (before, after) = line.split_once(" - ")?;
    let point = PathBuf::from(unescaped(before.split(' ').nth(4)?));
    let mut words = after.split(' ');
    let (kind, source, options) = (words.next()?, words.next()?, words.next().unwrap_or_default());
    // WSL 1 names the file system drvfs; WSL 2 uses 9p or virtiofs, and names the drive.
    let is_drive = kind == "drvfs"
        || (kind == "9p" && options.split([',', ';']).any(|option| option == "aname=drvfs"))
        || (kind == "virtiofs" && source.starts_with("drvfs"));
    Some((point, is_drive))
}

/// A blank, for example, is written as `\040`.
fn unescaped(text: &str) -> OsString {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digits = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| first == b'\\') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    OsString::from_vec(bytes)
}

/// Whether a Windows program runs where `program` is started: it is one, or a script that npm of Windows made for one.
pub fn starts_windows(program: &Path, wsl: Option<&Wsl>) -> bool {
    let mut head = Vec::new();
    let read = fs::File::open(program).map(|file| file.take(4096).read_to_end(&mut head));
    let is_of_windows = || wsl.zip(fs::canonicalize(program).ok()).is_some_and(|(wsl, path)| wsl.is_on_drive(&path));
    matches!(read, Ok(Ok(_))) && (head.starts_with(b"MZ") || (is_script_for_windows(&head) && is_of_windows()))
}

/// npm's script runs the program that the package names. Linux's own package calls its program `claude.exe`, too, but npm makes
/// a link to that one, no script.
fn is_script_for_windows(head: &[u8]) -> bool {
    head.starts_with(b"#!") && head.windows(5).any(|part| part == b".exe\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WSL2: &str = r"74 68 8:48 / / rw,relatime - ext4 /dev/sdd rw,discard
75 74 0:26 / /mnt/wsl rw,relatime shared:1 - tmpfs none rw
76 74 0:29 / /usr/lib/wsl/drivers ro,nosuid,nodev,noatime - 9p drivers ro,dirsync,aname=drivers;fmask=222;dmask=222,mmap
121 74 0:53 / /mnt/c rw,noatime - 9p C:\134 rw,dirsync,aname=drvfs;path=C:\;uid=1000;gid=1000;symlinkroot=/mnt/,mmap
122 74 0:54 / /mnt/my\040drive rw,noatime - 9p D:\134 rw,dirsync,aname=drvfs;path=D:\;uid=1000,mmap
123 121 8:49 / /mnt/c/linux rw - ext4 /dev/sde rw
124 74 0:55 / /mnt/e rw,noatime - virtiofs drvfsaE0 rw";
    const WSL1: &str = r"2 2 0:2 / / rw,noatime - lxfs rootfs rw
8 2 0:8 / /mnt/c rw,noatime - drvfs C:\134 rw,uid=1000,gid=1000,case=off";

    #[test]
    fn what_lies_on_a_drive_of_windows() {
        for (mounts, path, expected) in [
            (WSL2, "/home/me/work", false),
            (WSL2, "/mnt/c/Users/me", true),
            (WSL2, "/mnt/c", true),
            (WSL2, "/mnt/cc", false),
            (WSL2, "/mnt/c/linux/x", false),
            (WSL2, "/mnt/my drive/x", true),
            (WSL2, "/mnt/e/x", true),
            (WSL2, "/usr/lib/wsl/drivers/x", false),
            (WSL1, "/mnt/c/Users/me", true),
            (WSL1, "/home/me", false),
            ("", "/mnt/c", false),
        ] {
            let wsl = Wsl::read("5.15.153.1-microsoft-standard-WSL2\n", || mounts.to_owned()).unwrap();
            assert_eq!(wsl.is_on_drive(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn which_kernels_run_in_windows() {
        for (release, expected) in [
            ("5.15.153.1-microsoft-standard-WSL2\n", true),
            ("4.4.0-19041-Microsoft\n", true),
            ("6.8.0-49-generic\n", false),
            ("", false),
        ] {
            assert_eq!(Wsl::read(release, String::new).is_some(), expected, "{release}");
        }
    }

    #[test]
    fn which_programs_are_windows_own() {
        let root = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(root.path()).unwrap();
        let drive = Wsl { mounts: vec![("/".into(), false), (root.clone(), true)] };
        let linux = Wsl { mounts: vec![("/".into(), false)] };
        let shim = "#!/bin/sh\nexec \"$basedir/node_modules/@anthropic-ai/claude-code/bin/claude.exe\"   \"$@\"\n";
        for (content, wsl, expected) in [
            ("MZ\u{90}", None, true),
            ("MZ", Some(&linux), true),
            (shim, Some(&drive), true),
            // On Linux the same words start a program of Linux.
            (shim, Some(&linux), false),
            (shim, None, false),
            ("#!/bin/sh\nexec node \"$basedir/cli.js\"\n", Some(&drive), false),
            ("\u{7f}ELF claude.exe\"", Some(&drive), false),
            ("", Some(&drive), false),
        ] {
            fs::write(root.join("claude"), content).unwrap();
            assert_eq!(starts_windows(&root.join("claude"), wsl), expected, "{content}");
        }
        assert!(!starts_windows(&root.join("absent"), Some(&drive)));
    }
}
