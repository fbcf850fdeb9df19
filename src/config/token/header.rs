//! The value of a copy's header: a secret like a token, but the text itself, whatever it means.

use zeroize::Zeroizing;

use super::TokenError;
use super::given::{self, Given};
use super::wanted::Wanted;
use crate::config::typed::credential::LONGEST;
use crate::config::values::TokenSource;
use crate::system::environment::Environment;

/// Names and values of headers. The values are secrets.
pub type SecretHeaders = Vec<(String, Zeroizing<String>)>;

/// Fetches the values of a copy's headers, in their order. An error: the first that there is not.
pub fn fetch_headers(
    headers: &[(String, TokenSource)],
    environment: &Environment,
) -> Result<SecretHeaders, TokenError> {
    headers.iter().map(|(name, source)| Ok((name.clone(), fetch_header(name, source, environment)?))).collect()
}

/// Fetches the value of the header `name`, with the protections of a token. No error repeats it.
pub fn fetch_header(
    name: &str,
    source: &TokenSource,
    environment: &Environment,
) -> Result<Zeroizing<String>, TokenError> {
    judged(&given::read(Wanted::Header(name), source, environment, None)?)
}

/// Checks whether `source` can give the value of the header `name`, without reading a file or running a command.
pub fn look_header(name: &str, source: &TokenSource, environment: &Environment) -> Result<(), TokenError> {
    match given::look(Wanted::Header(name), source, environment)? {
        Some(given) => judged(&given).map(drop),
        None => Ok(()),
    }
}

/// One line of visible ASCII and inner blanks, without what follows it.
fn judged(given: &Given<'_>) -> Result<Zeroizing<String>, TokenError> {
    let value = given.text.trim_end();
    let what = match value {
        "" => "no value",
        value if value.len() > LONGEST => "more than 8 KiB",
        value if value.starts_with(char::is_whitespace) => "white space before the value",
        value if value.contains(['\n', '\r']) => "more than one line",
        value if !value.chars().all(|c| c == ' ' || c.is_ascii_graphic()) => "a character that no header can have",
        value => return Ok(Zeroizing::new(value.to_owned())),
    };
    Err(given.refused(what))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const CANARY: &str = "glc_c4n4ry9f8e7d6c5b4a3928";

    fn fetch(source: &TokenSource, environment: &[(&str, &str)]) -> Result<String, String> {
        let environment: Environment = environment.iter().copied().collect();
        let value = fetch_header("Authorization", source, &environment);
        value.map(|value| value.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_value_is_one_line_of_visible_ascii() {
        let source = TokenSource::Env("KEY".to_owned());
        let longest = "x".repeat(LONGEST);
        for (text, value) in [
            ("Basic dXNlcjpwYXNz", "Basic dXNlcjpwYXNz"),
            ("Bearer a b\r\n\n", "Bearer a b"),
            ("$HOME, \"x\"; {y}", "$HOME, \"x\"; {y}"),
            ("acme", "acme"),
            (&longest, &longest),
        ] {
            assert_eq!(fetch(&source, &[("KEY", text)]).as_deref(), Ok(value));
        }
        let longer = format!("{CANARY}{longest}");
        let words = "the environment variable KEY for header Authorization of a copy contains";
        for (text, what) in [
            ("", "no value"),
            (" \n", "no value"),
            (&format!(" {CANARY}"), "white space before the value"),
            (&format!("{CANARY}\n{CANARY}"), "more than one line"),
            (&format!("{CANARY}\t{CANARY}"), "a character that no header can have"),
            (&format!("{CANARY}\u{0}"), "a character that no header can have"),
            (&format!("{CANARY}ä"), "a character that no header can have"),
            (&longer, "more than 8 KiB"),
        ] {
            let error = fetch(&source, &[("KEY", text)]).unwrap_err();
            assert_eq!(error, format!("{words} {what}: it must contain the header's value and nothing else"));
        }
        assert_eq!(
            fetch(&source, &[]).unwrap_err(),
            "the environment variable KEY, which should hold header Authorization of a copy, is not set: export KEY=…"
        );
        let misplaced = fetch(&TokenSource::Env(CANARY.to_owned()), &[]).unwrap_err();
        assert!(misplaced.contains("is not set") && !misplaced.contains(CANARY), "{misplaced}");
        let named = fetch_header(CANARY, &source, &Environment::default()).unwrap_err().to_string();
        assert!(named.contains("is not set") && !named.contains(CANARY), "{named}");
    }

    #[test]
    fn c4_files_of_headers() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("grafana");
        let source = TokenSource::File(path.clone());
        let look = || look_header("Authorization", &source, &Environment::default()).map_err(|error| error.to_string());
        let shown = path.display();
        let words = format!("the file {shown} for header Authorization of a copy");
        let missing = format!("{words} does not exist: write its value there: (umask 077 && cat >{shown})");
        assert_eq!((fetch(&source, &[]).unwrap_err(), look().unwrap_err()), (missing.clone(), missing));
        std::fs::write(&path, format!("Bearer {CANARY}\n")).unwrap();
        let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o640);
        let open = format!("{words} can be read by others (mode 0640): chmod 600 {shown}");
        assert_eq!((fetch(&source, &[]).unwrap_err(), look().unwrap_err()), (open.clone(), open));
        mode(0o600);
        assert_eq!((fetch(&source, &[]).unwrap(), look()), (format!("Bearer {CANARY}"), Ok(())));
        std::fs::write(&path, vec![b'x'; 3 * LONGEST]).unwrap();
        assert!(fetch(&source, &[]).unwrap_err().starts_with(&format!("{words} contains more than 8 KiB")));
        std::fs::write(&path, b"\xff").unwrap();
        assert!(fetch(&source, &[]).unwrap_err().starts_with(&format!("{words} cannot be read")));
    }

    #[test]
    fn c7_commands_of_headers() {
        let run = |script: &str| {
            let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
            fetch(&TokenSource::Command(argv), &[("PATH", "/usr/bin:/bin")])
        };
        assert_eq!(run("echo Bearer x").unwrap(), "Bearer x");
        let words = "the command `sh` for header Authorization of a copy";
        for (script, what) in [
            (format!("echo {CANARY}; echo {CANARY}"), "printed more than one line: it must print the header's value"),
            (format!("printf '{CANARY}\\377'"), "printed a character that no header can have"),
            ("true".to_owned(), "printed no value"),
            (format!("echo {CANARY} >&2; exit 3"), "failed with exit status 3: run it in a terminal"),
        ] {
            let error = run(&script).unwrap_err();
            assert!(error.starts_with(&format!("{words} {what}")) && !error.contains(CANARY), "{error}");
        }
        let missing = fetch(&TokenSource::Command(vec!["no-such-program".to_owned()]), &[]).unwrap_err();
        assert!(missing.starts_with("the command no-such-program for header Authorization of a copy is not found"));
    }
}
