//! What `install.sh` refuses: damaged and foreign archives, wrong options, places that are not this user's.

use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::packages::{LATER, TARGET, VERSION, releases};
use crate::script::{Lab, archive, shells};
use crate::support::sandbox::{Text, snapshot};
use crate::support::{program, user};

/// The script's own checksums count, whatever the server says.
#[test]
fn its_own_checksums_count() {
    if program("bash").is_none() {
        return;
    }
    let url = format!("file://{}", releases().display());
    let lab = Lab::pinned(&url);
    let text = std::fs::read_to_string(&lab.script).unwrap();
    let own = std::fs::read_to_string(releases().join(format!("v{VERSION}/SHA256SUMS"))).unwrap();
    assert!(text.contains(&format!("checksums='{}'\n", own.trim_end())), "{text}");
    lab.sandbox.directory(".local/bin");
    std::fs::write(&lab.script, text.replace(&own[..64], &"0".repeat(64))).unwrap();
    lab.refuses(&mut lab.command(&["sh"], &[]), "nothing was installed");
    std::fs::write(&lab.script, text).unwrap();
    // Another version by its list, and back, which it says.
    assert_eq!(lab.run(&["sh"], &["--version", LATER]).code(), 0);
    let output = lab.run(&["sh"], &[]);
    assert!(output.code() == 0 && output.out().contains(&format!(", replaces {LATER}\n")), "{}", output.out());
}

#[test]
fn a_program_of_another_version_is_refused() {
    if program("bash").is_none() {
        return;
    }
    let (lab, releases) = Lab::copied();
    lab.sandbox.directory(".local/bin");
    let script = format!(
        "mv act-claude-{VERSION}-{TARGET}.tar.gz x && tar -xzf x && mv act-claude-{VERSION}-{TARGET} \
         act-claude-9.9.9-{TARGET} && mkdir ../v9.9.9 && tar -czf ../v9.9.9/act-claude-9.9.9-{TARGET}.tar.gz \
         act-claude-9.9.9-{TARGET} && cd ../v9.9.9 && sha256sum *.gz >SHA256SUMS"
    );
    let directory = archive(&releases).parent().unwrap().to_owned();
    assert!(Command::new("sh").args(["-c", &script]).current_dir(directory).status().unwrap().success());
    lab.refuses(&mut lab.command(&["sh"], &["--version", "9.9.9"]), "is another version: it says act-claude");
}

/// As root it writes into root's directories only.
#[test]
fn root_does_not_install_for_another_user() {
    if program("bash").is_none() || !nix::unistd::geteuid().is_root() {
        return;
    }
    for shell in shells() {
        let lab = Lab::new(releases());
        chown(lab.sandbox.home(), Some(user::USER), Some(user::USER)).unwrap();
        lab.refuses(&mut lab.command(&shell, &[]), "belongs to another user");
        let output = lab.run(&shell, &["--dir", lab.sandbox.root().join("bin").to_str().unwrap()]);
        assert_eq!(output.code(), 0, "{shell:?}: {}", output.err());
    }
}

/// A link that the script did not make stays, and so do the other files.
#[test]
fn removes_only_what_it_installed() {
    if program("bash").is_none() {
        return;
    }
    for shell in shells() {
        let lab = Lab::new(releases());
        let page = lab.sandbox.directory(".local/share/man/man1").join("act-claude.1");
        let taken = lab.sandbox.directory(".local/share/zsh/site-functions/_act-claude");
        assert_eq!(lab.run(&shell, &[]).code(), 0);
        assert!(page.is_file() && std::fs::read_dir(&taken).unwrap().count() == 0);
        let other = lab.sandbox.directory("other");
        symlink("nowhere", other.join("act-claude")).unwrap();
        for (directory, said) in [("other", "is a link"), ("none", "There is no ")] {
            let output = lab.run(&shell, &["--uninstall", "--dir", directory]);
            assert!(output.code() == 0 && output.out().contains(said), "{shell:?}: {}", output.out());
        }
        assert!(page.is_file() && other.join("act-claude").is_symlink() && lab.installed().is_file());
        let output = lab.run(&shell, &["--dir", "--uninstall"]);
        assert!(output.code() == 1 && output.err().contains("--dir needs a value"), "{}", output.err());
    }
}

#[test]
fn what_is_damaged_is_refused() {
    if program("bash").is_none() {
        return;
    }
    type Damage = fn(&Path);
    let damages: [(&str, Damage, &str); 6] = [
        ("another archive", |releases| std::fs::write(archive(releases), b"other").unwrap(), "nothing was installed"),
        (
            "a truncated archive",
            |releases| {
                let content = std::fs::read(archive(releases)).unwrap();
                std::fs::write(archive(releases), &content[..content.len() / 2]).unwrap();
            },
            "nothing was installed",
        ),
        (
            "no checksum",
            |releases| std::fs::write(archive(releases).with_file_name("SHA256SUMS"), "abc  other.tar.gz\n").unwrap(),
            "has no checksum of",
        ),
        (
            "an empty checksum",
            |releases| {
                let name = archive(releases).file_name().unwrap().display().to_string();
                let line = format!("  {name}\n");
                std::fs::write(archive(releases).with_file_name("SHA256SUMS"), line).unwrap();
            },
            "has no checksum of",
        ),
        ("no archive", |releases| std::fs::remove_file(archive(releases)).unwrap(), "can't be read"),
        (
            "a program that fails",
            |releases| {
                let name = archive(releases).file_name().unwrap().display().to_string();
                let inner = name.trim_end_matches(".tar.gz");
                let script = format!(
                    "mkdir {inner} && printf '#!/bin/sh\\necho broken\\nexit 3\\n' >{inner}/act-claude && \
                     tar -czf {name} {inner} && sha256sum {name} >SHA256SUMS"
                );
                let directory = archive(releases).parent().unwrap().to_owned();
                assert!(Command::new("sh").args(["-c", &script]).current_dir(directory).status().unwrap().success());
            },
            "doesn't run here: broken",
        ),
    ];
    for (what, damage, expected) in damages {
        let (lab, releases) = Lab::copied();
        // The directory is there, so that the home stays as it is.
        lab.sandbox.directory(".local/bin");
        let older = lab.sandbox.script(".local/bin/act-claude", "#!/bin/sh\n");
        damage(&releases);
        lab.refuses(&mut lab.command(&["sh"], &[]), expected);
        assert_eq!(std::fs::read(&older).unwrap(), b"#!/bin/sh\n", "{what}");
    }
}

/// An archive whose entries lead outside, with a right checksum: nothing is written but what the script names.
#[test]
fn a_hostile_archive_writes_nowhere_else() {
    if program("bash").is_none() || program("python3").is_none() {
        return;
    }
    let (lab, releases) = Lab::copied();
    let outside = lab.sandbox.home().join("outside");
    let pack = r#"
import io, sys, tarfile
archive, inner, outside, program = sys.argv[1:]
with tarfile.open(archive, "w:gz") as out:
    def add(name, content=b"x", link=None, mode=0o777):
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), mode
        if link:
            entry.type, entry.linkname, entry.size, content = tarfile.SYMTYPE, link, 0, b""
        out.addfile(entry, io.BytesIO(content))
    add(outside)
    add(inner + "/../../../../../../../../.." + outside)
    add(inner + "/man", link=outside + "-link")
    add(inner + "/man/act-claude.1")
    add(inner + "/act-claude", open(program, "rb").read(), mode=0o4777)
"#;
    let archive = archive(&releases);
    let inner = format!("act-claude-{VERSION}-{TARGET}");
    let mut python = Command::new("python3");
    python.args(["-c", pack]).arg(&archive).arg(&inner).arg(&outside).arg(crate::packages::built(VERSION));
    assert!(python.status().unwrap().success());
    let sums =
        Command::new("sha256sum").arg(archive.file_name().unwrap()).current_dir(archive.parent().unwrap()).output();
    std::fs::write(archive.with_file_name("SHA256SUMS"), sums.unwrap().stdout).unwrap();
    lab.sandbox.directory(".local/share/man/man1");
    let output = lab.run(&["sh"], &[]);
    assert_eq!(output.code(), 0, "{}", output.err());
    let files: Vec<PathBuf> = snapshot(&lab.sandbox.home()).into_keys().collect();
    assert_eq!(files, [lab.installed(), lab.sandbox.home().join(".local/share/man/man1/act-claude.1")]);
    assert_eq!(std::fs::metadata(lab.installed()).unwrap().permissions().mode() & 0o7777, 0o755, "no set-user-id bit");
}

#[test]
fn what_it_does_not_know_is_refused() {
    if program("bash").is_none() {
        return;
    }
    for (uname, expected) in [
        ("case $1 in -s) echo Linux ;; *) echo riscv64 ;; esac", "there is no act-claude for the processor riscv64"),
        ("case $1 in -s) echo Linux ;; *) echo i686 ;; esac", "there is no act-claude for the processor i686"),
        ("case $1 in -s) echo FreeBSD ;; *) echo amd64 ;; esac", "there is no act-claude for FreeBSD"),
        ("case $1 in -s) echo MINGW64_NT-10.0 ;; *) echo x86_64 ;; esac", "there is no act-claude for MINGW64_NT-10.0"),
        // What it knows, but this release doesn't have.
        ("case $1 in -s) echo Darwin ;; *) echo arm64 ;; esac", "aarch64-apple-darwin.tar.gz can't be read"),
        ("case $1 in -s) echo Darwin ;; *) echo x86_64 ;; esac", "x86_64-apple-darwin.tar.gz can't be read"),
    ] {
        let lab = Lab::new(releases());
        lab.sandbox.directory(".local/bin");
        let fake = lab.sandbox.script("fake/uname", &format!("#!/bin/sh\n{uname}\n"));
        let path = format!("{}:/usr/bin:/bin", fake.parent().unwrap().display());
        lab.refuses(lab.command(&["sh"], &[]).env("PATH", path), expected);
    }
    let lab = Lab::new(releases());
    for (args, expected) in [
        (&["--frobnicate"][..], "unknown option: --frobnicate"),
        (&["--dir"], "--dir needs a value"),
        (&["--dir", ""], "--dir needs a value"),
        (&["--version", "../0.1.0"], "not a version: ../0.1.0"),
        (&["--version", "1.0/2"], "not a version"),
        (&["--version", "999.9.9"], "v999.9.9/SHA256SUMS can't be read"),
    ] {
        lab.sandbox.directory(".local/bin");
        lab.refuses(&mut lab.command(&["sh"], args), expected);
    }
    lab.refuses(lab.command(&["sh"], &[]).env_remove("HOME"), "HOME is not set");
    lab.refuses(lab.command(&["sh"], &[]).env("HOME", ""), "HOME is not set");
}
