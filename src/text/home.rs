//! Paths as people write them: with `~` for the home directory (pure).

use std::path::Path;

use super::replace::replaced;

/// A path, with `~` for the home directory.
pub fn path(path: &Path, home: Option<&Path>) -> String {
    shortened(&path.to_string_lossy(), home)
}

/// A text with `~` in place of the home directory wherever a path in it begins with that directory.
pub fn shortened(text: &str, home: Option<&Path>) -> String {
    let Some(home) = home.map(|home| home.to_string_lossy().trim_end_matches('/').to_owned()) else {
        return text.to_owned();
    };
    // The root directory is no home that is worth a shorter name.
    if !home.starts_with('/') {
        return text.to_owned();
    }
    replaced(text, &home, "~", |before, after| {
        // A shell reads `~` between quotes as it stands there, what is quoted from a file is spelled as there, and a URL has no `~`.
        let is_quoted = before.is_some_and(|c| matches!(c, '\'' | '"' | '/'));
        !is_quoted && !before.is_some_and(continues_a_name) && !after.is_some_and(continues_a_name)
    })
}

/// Whether this character beside a path belongs to it: `/home/dev` is not at the beginning of `/home/dev2` or `/srv/home/dev`.
fn continues_a_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | '\u{fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_are_the_home() {
        for (text, home, shown) in [
            ("/home/dev", "/home/dev", "~"),
            ("/home/dev/work", "/home/dev", "~/work"),
            ("/home/dev/work", "/home/dev/", "~/work"),
            ("/home/dev2/work", "/home/dev", "/home/dev2/work"),
            ("/home/dev.old and /srv/home/dev", "/home/dev", "/home/dev.old and /srv/home/dev"),
            (
                "the rule \"~/w\" in /home/dev/c.json:3:5 (/home/dev)",
                "/home/dev",
                "the rule \"~/w\" in ~/c.json:3:5 (~)",
            ),
            ("chmod 600 '/home/dev/a b'", "/home/dev", "chmod 600 '/home/dev/a b'"),
            ("file:///home/dev/caf%E9", "/home/dev", "file:///home/dev/caf%E9"),
            ("the rule \"/home/dev/w\"", "/home/dev", "the rule \"/home/dev/w\""),
            ("/a/b", "/", "/a/b"),
            ("/a/b", "", "/a/b"),
            ("/größe/x", "/größe", "~/x"),
        ] {
            assert_eq!(shortened(text, Some(Path::new(home))), shown, "{text} {home}");
        }
        assert_eq!(shortened("/home/dev", None), "/home/dev");
        assert_eq!(path(Path::new("/home/dev/x"), Some(Path::new("/home/dev"))), "~/x");
    }
}
