//! Paths of any bytes: a written path is read as the same path, a rule made for it applies to it, and its printed form
//! does not control the terminal.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use act_claude::config::resolve::{Directory, Explicit, resolve};
use act_claude::config::{self, TokenSource, edit};
use act_claude::system::environment::Environment;
use act_claude::text::{paths, printable};
use serde_json::json;

/// Two paths, one a line. The first one is the home directory.
pub fn check(data: &[u8]) {
    let (home, path) = match data.iter().position(|&byte| byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (&data[..0], data),
    };
    let (home, path) = (Path::new(OsStr::from_bytes(home)), Path::new(OsStr::from_bytes(path)));
    for path in [home, path] {
        written(path);
        printed(path);
    }
    ruled(home, path);
}

/// Conversion to text and back gives the same path. If the path is valid text and looks like no URL, the text is the
/// path.
fn written(path: &Path) {
    let text = paths::to_text(path);
    let again = paths::from_text(&text);
    let is_same = again == path || again == Path::new(".").join(path);
    assert!(is_same && again.as_os_str().as_bytes().ends_with(path.as_os_str().as_bytes()), "{path:?}: {text:?}");
    match path.to_str() {
        Some(plain) if !plain.starts_with("file:") => assert_eq!(text, plain),
        Some(_) => {}
        None => assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?}"),
    }
    // In stored files and in messages to the relay.
    let source = TokenSource::File(again.clone());
    let stored = serde_json::to_string(&source).expect("any path can be stored");
    assert_eq!(serde_json::from_str::<TokenSource>(&stored).expect("read"), source);
}

/// The printed form does not control a terminal; the JSON form has the same content.
fn printed(path: &Path) {
    let name = path.to_string_lossy();
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    assert!(!printable::visible(&name).contains(steers) && !printable::line(&name).contains(steers), "{name:?}");
    let lines = printable::lines(&name);
    assert!(!lines.contains(|c| steers(c) && c != '\n' && c != '\t'), "{lines:?}");
    assert_eq!(lines.lines().count(), name.lines().count());
    let page = printable::page(&name);
    for part in page.split('\u{1b}').skip(1) {
        let style = part.strip_prefix('[').unwrap_or_else(|| panic!("{page:?}"));
        assert!(style.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m'), "{page:?}");
    }
    assert_eq!(printable::page(&page), page);
    let value = json!({ name.clone(): [name] });
    let text = value.to_string();
    let shown = printable::json(&text);
    assert!(!shown.contains(steers), "{shown:?}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).expect("JSON"), value);
}

/// The rule that `act use` writes for a directory names that directory, and applies there and below it, and nowhere
/// else.
fn ruled(home: &Path, directory: &Path) {
    let is_plain = |path: &Path| {
        let has_dots = path.components().any(|part| part == Component::ParentDir);
        path.is_absolute() && !has_dots && !path.as_os_str().as_bytes().contains(&0)
    };
    if !is_plain(directory) {
        return;
    }
    let environment: Environment = [("HOME", home.as_os_str())].into_iter().collect();
    let key = edit::directory_key(directory, &environment);
    let config = json!({
        "accounts": {"acme": {"endpoint": "https://act.example/m", "user": "u", "token": {"file": key}}},
        "aliases": {"web": {"account": "acme", "id": "i", "provider_type": "P"}},
        "directories": {key.clone(): "web"}
    });
    let (config, faults) =
        config::read(Path::new("/c.json"), config.to_string().into_bytes(), environment.home().as_deref());
    assert_eq!(faults, [], "{key:?}");
    let normal: PathBuf = directory.components().collect();
    assert_eq!(config.directories[0].path, normal, "{key:?}");
    assert_eq!(config.accounts["acme"].token, TokenSource::File(normal.clone()), "{key:?}");
    let alias = |directory: &Path| {
        let place = Directory { logical: Some(directory.to_path_buf()), rules: vec![None], ..Directory::default() };
        resolve(Explicit::default(), &config, &place).expect("nothing is named").alias
    };
    assert_eq!(alias(&normal).as_deref(), Some("web"));
    assert_eq!(alias(&normal.join(OsStr::from_bytes(b"b\xe9low"))).as_deref(), Some("web"));
    if let Some(above) = normal.parent() {
        assert_eq!(alias(above), None);
        let mut other = normal.into_os_string();
        other.push(OsStr::from_bytes(b"\xff"));
        assert_eq!(alias(Path::new(&other)), None, "another name that starts alike");
    }
}
