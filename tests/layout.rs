//! The layout of the source: rooms in an order, imports that point down it, nothing too large.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, from top to bottom. Each imports only from rooms below it.
const ROOMS: [&str; 17] = [
    "main",
    "lib",
    "commands",
    "run",
    "relay",
    "plan",
    "rehearsal",
    "delivery",
    "usage",
    "otlp",
    "claude",
    "config",
    "git",
    "state",
    "launch",
    "text",
    "system",
];
/// The largest file, in lines.
const LONGEST_FILE: usize = 400;
/// The longest function, in lines.
const LONGEST_FUNCTION: usize = 70;
/// The largest share of all lines that one room may have, in percent.
const LARGEST_ROOM: usize = 30;

struct Source {
    path: PathBuf,
    room: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut directories = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("a directory of the source") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let within = path.strip_prefix(&root).expect("below src").to_owned();
                let first = within.components().next().expect("a name").as_os_str().to_string_lossy();
                let room = first.trim_end_matches(".rs").to_owned();
                sources.push(Source { room, text: fs::read_to_string(&path).expect("text"), path: within });
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

fn rank(room: &str) -> Option<usize> {
    ROOMS.iter().position(|name| *name == room)
}

/// The rooms that a file names after `crate::`, with the number of the line.
fn imports(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let line = text[..at].matches('\n').count() + 1;
        let rest = &text[at + "crate::".len()..];
        let group = rest.strip_prefix('{').map(|inner| inner.split(';').next().unwrap_or(inner));
        let names: Vec<&str> = match group {
            // The first word of each item of the outer group.
            Some(inner) => top_items(inner),
            None => vec![rest],
        };
        for name in names {
            let word: String = name.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.push((line, word));
        }
    }
    found
}

/// Splits at commas outside of inner braces.
fn top_items(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&group[start..at]);
                return items;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items
}

/// The imports that point up the list.
fn upward(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources {
        let Some(own) = rank(&source.room) else {
            wrong.push(format!("{}: {} is no room of the list", source.path.display(), source.room));
            continue;
        };
        for (line, room) in imports(&source.text) {
            match rank(&room) {
                Some(other) if other < own => {
                    wrong.push(format!(
                        "{}:{line}: {} imports from {room}, above it",
                        source.path.display(),
                        source.room
                    ));
                }
                Some(_) => {}
                None => wrong.push(format!("{}:{line}: {room} is no room of the list", source.path.display())),
            }
        }
    }
    wrong
}

#[test]
fn imports_point_down() {
    let wrong = upward(&sources());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_import_upwards_is_noticed() {
    let source =
        |text: &str| vec![Source { path: "launch/child.rs".into(), room: "launch".to_owned(), text: text.to_owned() }];
    for (text, expected) in [
        ("use crate::system::exit::ExitCode;", 0),
        ("use crate::relay::protocol;", 1),
        ("use crate::{system::exit, relay::{self, protocol}};", 1),
        ("fn f() { crate::run::run(); }", 1),
        ("use crate::nowhere::x;", 1),
    ] {
        assert_eq!(upward(&source(text)).len(), expected, "{text}");
    }
}

#[test]
fn the_documentation_lists_the_rooms_in_their_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (file, before, after) in [("src/lib.rs", "[`", "`]"), ("docs/architecture.md", "| `src/", "/`")] {
        let text = fs::read_to_string(root.join(file)).expect("a file of the project");
        let mut last = 0;
        for room in &ROOMS[2..] {
            let spelled = [format!("{before}{room}{after}"), format!("{before}mod@{room}{after}")];
            let at = spelled.iter().find_map(|spelled| text.find(spelled));
            let at = at.unwrap_or_else(|| panic!("{file} does not list {room} as {spelled:?}"));
            assert!(at > last || room == &"system", "{file}: {room} stands before what is above it");
            last = at;
        }
    }
}

#[test]
fn nothing_is_too_large() {
    let sources = sources();
    let mut wrong = Vec::new();
    let mut lines = BTreeMap::<&str, usize>::new();
    let mut all = 0;
    for source in &sources {
        let count = source.text.lines().count();
        all += count;
        *lines.entry(&source.room).or_default() += count;
        if count > LONGEST_FILE {
            wrong.push(format!("{}: {count} lines", source.path.display()));
        }
        for (line, name, count) in functions(&source.text) {
            if count > LONGEST_FUNCTION {
                wrong.push(format!("{}:{line}: {name} has {count} lines", source.path.display()));
            }
        }
    }
    for (room, count) in lines {
        if count * 100 > all * LARGEST_ROOM {
            wrong.push(format!("{room}: {count} of {all} lines"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each function: the line it starts in, its name, and how many lines it has. Read by indentation, as rustfmt writes it.
fn functions(text: &str) -> Vec<(usize, String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let words: Vec<&str> = code.split_whitespace().take(6).collect();
        let Some(position) = words.iter().position(|word| *word == "fn") else { continue };
        if code.starts_with("//") || code.ends_with(';') || code.ends_with('}') {
            continue;
        }
        let name = words.get(position + 1).unwrap_or(&"").split(['(', '<']).next().unwrap_or("").to_owned();
        let closing = format!("{}}}", " ".repeat(indent));
        if let Some(length) = lines[at..].iter().position(|line| *line == closing) {
            found.push((at + 1, name, length + 1));
        }
    }
    found
}

#[test]
fn a_function_s_length_is_read() {
    let text = "fn a() {\n    b();\n}\n\nimpl X {\n    pub fn c(\n        self,\n    ) {\n        d();\n    }\n}\n";
    assert_eq!(functions(text), [(1, "a".to_owned(), 3), (6, "c".to_owned(), 5)]);
}
