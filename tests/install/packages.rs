//! Makes the packages, and looks at what was installed.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::support::process::{Process, with_environment};
use crate::support::sandbox::{Sandbox, Text};
use crate::support::{DEADLINE, act_claude, eventually, example, fake_claude, program};

/// This version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// A later one, as long as this one: a program says it after its bytes are replaced.
pub const LATER: &str = match str::from_utf8(&LATER_BYTES) {
    Ok(version) => version,
    Err(_) => panic!("a version is ASCII"),
};
const LATER_BYTES: [u8; VERSION.len()] = {
    let mut bytes = [0; VERSION.len()];
    bytes.copy_from_slice(VERSION.as_bytes());
    assert!(bytes[0] < b'9');
    bytes[0] = b'9';
    bytes
};
/// The system that the tests run on, as the archives are called for it.
pub const TARGET: &str = match (cfg!(target_os = "linux"), cfg!(target_arch = "x86_64")) {
    (true, true) => "x86_64-unknown-linux-musl",
    (true, false) => "aarch64-unknown-linux-musl",
    (false, true) => "x86_64-apple-darwin",
    (false, false) => "aarch64-apple-darwin",
};
/// This system, as Node calls it.
pub const PLATFORM: &str = match (cfg!(target_os = "linux"), cfg!(target_arch = "x86_64")) {
    (true, true) => "linux-x64",
    (true, false) => "linux-arm64",
    (false, true) => "darwin-x64",
    (false, false) => "darwin-arm64",
};

/// The project's directory.
pub fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A directory that stays until the next build, for what all tests of a run share.
pub fn shared() -> &'static Path {
    static SHARED: OnceLock<PathBuf> = OnceLock::new();
    SHARED.get_or_init(|| {
        let shared = Path::new(env!("CARGO_TARGET_TMPDIR")).join("install");
        let _ = std::fs::remove_dir_all(&shared);
        std::fs::create_dir_all(&shared).unwrap();
        shared
    })
}

/// The built program without its debug information, which would make the packages large. The one of the later version says that
/// version, and is the same otherwise.
pub fn built(version: &str) -> PathBuf {
    static BUILT: OnceLock<[PathBuf; 2]> = OnceLock::new();
    let both = BUILT.get_or_init(|| {
        let both = [VERSION, LATER].map(|version| shared().join(format!("program-{version}")));
        std::fs::copy(act_claude(), &both[0]).unwrap();
        if program("strip").is_some() {
            assert!(Command::new("strip").arg(&both[0]).status().unwrap().success());
        }
        let mut later = std::fs::read(&both[0]).unwrap();
        for at in 0..later.len() - VERSION.len() {
            if later[at..].starts_with(VERSION.as_bytes()) {
                later[at..at + LATER.len()].copy_from_slice(LATER.as_bytes());
            }
        }
        std::fs::write(&both[1], later).unwrap();
        std::fs::set_permissions(&both[1], std::fs::Permissions::from_mode(0o755)).unwrap();
        if cfg!(target_os = "macos") {
            // The changed bytes have made the signature wrong.
            assert!(
                Command::new("codesign").args(["--force", "--sign", "-"]).arg(&both[1]).status().unwrap().success()
            );
        }
        both
    });
    both[usize::from(version == LATER)].clone()
}

/// What is packed, with the version in it: this project, or a copy of its files that claims to be of the later version.
fn source(version: &str) -> PathBuf {
    static COPY: OnceLock<PathBuf> = OnceLock::new();
    if version == VERSION {
        return top().to_owned();
    }
    let copy = COPY.get_or_init(|| {
        let copy = shared().join("source");
        std::fs::create_dir(&copy).unwrap();
        let mut command = Command::new("cp");
        command.args(["-R", "shell", "docs", "README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"]);
        assert!(command.arg(&copy).current_dir(top()).status().unwrap().success());
        let manifest = std::fs::read_to_string(top().join("Cargo.toml")).unwrap();
        let line = format!("version = \"{VERSION}\"");
        assert!(manifest.contains(&line));
        std::fs::write(copy.join("Cargo.toml"), manifest.replacen(&line, &format!("version = \"{LATER}\""), 1))
            .unwrap();
        copy
    });
    copy.clone()
}

/// A packing script, started with a program and the man page, as far as it takes them.
pub fn packing(script: &str, version: &str) -> Command {
    let mut command = Command::new("bash");
    command.arg(source(version).join("shell").join(script));
    if ["tarball", "debian", "npm"].contains(&script) {
        command.arg("--binary").arg(built(version)).args(["--target", TARGET]).arg("--man").arg(example("man"));
    }
    // Fast compression.
    command.env("DPKG_DEB_COMPRESSOR_TYPE", "gzip").env("DPKG_DEB_COMPRESSOR_LEVEL", "1");
    command.env_remove("RELEASE_URL").env_remove("RELEASE_NPM_SCOPE").env_remove("SOURCE_DATE_EPOCH");
    command
}

/// Runs a packing script, and returns the files whose paths it printed.
pub fn pack(command: &mut Command) -> Vec<PathBuf> {
    let output = command.output().unwrap();
    assert_eq!(output.code(), 0, "{command:?}: {}", output.err());
    let files: Vec<PathBuf> = output.out().lines().map(PathBuf::from).collect();
    assert!(files.iter().all(|file| file.is_file()), "{files:?}");
    files
}

/// The packages for npm: act-claude, and the one for this system. Made once.
pub fn npm(version: &str) -> [PathBuf; 2] {
    static PACKED: [OnceLock<Vec<PathBuf>>; 2] = [OnceLock::new(), OnceLock::new()];
    let packed = PACKED[usize::from(version == LATER)].get_or_init(|| {
        let packed = pack(packing("npm", version).arg(shared().join("npm")));
        assert_eq!(packed.len(), 2);
        packed
    });
    [packed[0].clone(), packed[1].clone()]
}

/// A directory with this version's and the later version's archive and checksums, as at RELEASE_URL. Made once.
pub fn releases() -> &'static Path {
    static RELEASES: OnceLock<PathBuf> = OnceLock::new();
    RELEASES.get_or_init(|| {
        let releases = shared().join("releases");
        for version in [VERSION, LATER] {
            let directory = releases.join(format!("v{version}"));
            let files = pack(packing("tarball", version).arg(&directory));
            let sums = Command::new("sha256sum").arg(files[0].file_name().unwrap()).current_dir(&directory).output();
            std::fs::write(directory.join("SHA256SUMS"), sums.unwrap().stdout).unwrap();
        }
        releases
    })
}

/// Whether a file is a program, not a script.
pub fn is_native(file: &Path) -> bool {
    let content = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    content.starts_with(b"\x7fELF") || content.starts_with(b"\xcf\xfa\xed\xfe")
}

/// Whether a file is the program of this version.
pub fn is_program_of(file: &Path, version: &str) -> bool {
    std::fs::read(file).ok() == std::fs::read(built(version)).ok()
}

/// Asserts that a shell which runs `command` has the program itself as its child, with claude as that one's child; that nothing
/// else remains of the start; and that the exit status arrives.
pub fn assert_becomes_the_program(sandbox: &mut Sandbox, command: &Path) {
    let (started, go) = (sandbox.root().join("started"), sandbox.root().join("go"));
    let _ = (std::fs::remove_file(&started), std::fs::remove_file(&go));
    fake_claude::install(sandbox, &format!("touch {}\nwait {}\nexit 7", started.display(), go.display()));
    let mut shell = sandbox.command("sh");
    shell.args(["-c", r#""$0" -p "a  b"; exit $?"#]).arg(command).env("ACT_CLAUDE_REPORT", "always");
    let mut shell = shell.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("claude", || started.exists().then_some(()));

    let all: Vec<Process> = with_environment(&sandbox.root().display().to_string());
    let children = |pid: i32| all.iter().filter(move |it| it.parent() == Some(pid)).collect::<Vec<_>>();
    let below = children(shell.id().cast_signed());
    assert_eq!(below.len(), 1, "{all:?}");
    let executable = std::fs::read_link(below[0].file("exe")).unwrap();
    assert!(is_program_of(&executable, VERSION), "{}", executable.display());
    let claude = std::fs::canonicalize(example("fake_claude")).unwrap();
    let is_claude = |it: &&Process| std::fs::read_link(it.file("exe")).is_ok_and(|path| path == claude);
    assert!(children(below[0].pid).iter().any(is_claude), "{all:?}");
    let programs = all.iter().filter_map(|it| std::fs::read_link(it.file("exe")).ok());
    let others: Vec<PathBuf> = programs.filter(|path| path.file_name().is_some_and(|name| name == "node")).collect();
    assert!(others.is_empty(), "{others:?}");

    std::fs::write(go, "").unwrap();
    let end = std::time::Instant::now() + DEADLINE;
    let status = loop {
        if let Some(status) = shell.try_wait().unwrap() {
            break status;
        }
        assert!(std::time::Instant::now() < end, "the shell does not end");
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    assert_eq!(status.code(), Some(7));
}
