//! Proxy settings as users have them: the effect of each on claude's own traffic and on the relay, side by side.
//!
//! docs/proxies.md has the table. This command tests every row and writes the table again:
//! `ACT_CLAUDE_WRITE_PROXIES=1 cargo test --test clients proxies -- --ignored --nocapture`.

mod rows;

use std::collections::BTreeMap;
use std::path::PathBuf;

use rows::{Layer, ROWS, Row};
use serde_json::{Value, json};

use crate::support::client::{self, Lab};
use crate::support::eventually;
use crate::support::failures::configure;
use crate::support::fake_claude;
use crate::support::sandbox::{Sandbox, Text};
use crate::support::site::{SERVER, Site};

/// The page with the table.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/proxies.md");
const BEGIN: &str = "<!-- the table begins -->\n";
const END: &str = "<!-- the table ends -->\n";
/// The path of the metrics endpoint.
const PATH: &str = "/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics";

/// How a request left the machine.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    Direct,
    /// Through this proxy, with what the proxy was asked.
    Proxy(String),
    /// It did not arrive.
    Nowhere,
}

impl std::fmt::Display for Way {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Direct => formatter.write_str("direct"),
            Self::Proxy(which) => formatter.write_str(which),
            Self::Nowhere => formatter.write_str("fails"),
        }
    }
}

fn way(arrived: bool, asked: &[String]) -> Way {
    match (arrived, asked) {
        (true, []) => Way::Direct,
        (true, asked) => Way::Proxy(asked.join(" and ")),
        (false, _) => Way::Nowhere,
    }
}

/// A client, a network, and a second home in which a stand-in replaces the client in front of the relay.
struct Bench {
    lab: Lab,
    site: Site,
    relayed: Sandbox,
}

impl Bench {
    fn start(version: &'static str) -> Option<Self> {
        let mut lab = Lab::start(version, &["project"])?;
        let site = Site::start(&lab.sandbox, &lab.messages)?;
        lab.sandbox.set("CLAUDE_CODE_MAX_RETRIES", "0");
        let mut relayed = Sandbox::new();
        fake_claude::install(&mut relayed, "post");
        relayed.directory("project");
        for sandbox in [&mut lab.sandbox, &mut relayed] {
            let pem = site.authority.write_to(&sandbox.root().join("ca.pem"));
            sandbox.set("NODE_EXTRA_CA_CERTS", pem);
        }
        Some(Self { lab, site, relayed })
    }

    /// The route of claude's own traffic, without act-claude.
    fn bare(&mut self, row: &Row) -> Way {
        self.lab.sandbox.set("ANTHROPIC_BASE_URL", format!("https://{}", row.server));
        let set = Set::apply(&mut self.lab.sandbox, row);
        let before = self.lab.messages.turns();
        self.site.asked();
        let output = self.lab.claude("project", &["-p", "hi"]).args(&set.args).output().expect("claude");
        let arrived = self.lab.messages.turns() > before;
        assert_eq!(arrived, output.out() == "hello there\n", "{row:?}: {output:?}");
        set.undo(&mut self.lab.sandbox);
        assert!(arrived || !row.settings.is_empty(), "claude does not even work alone: {output:?}");
        way(arrived, &self.site.asked())
    }

    /// The route of the relay, and its message.
    fn relay(&mut self, row: &Row, number: usize) -> (Way, String) {
        configure(&self.relayed, &format!("https://{}{PATH}", row.server), 30_000);
        self.relayed.set("XDG_STATE_HOME", self.state(number));
        let set = Set::apply(&mut self.relayed, row);
        let before = self.site.act.requests().len();
        self.site.asked();
        let mut command = self.relayed.act_claude(&["--report", "always", "-p", "hi"]);
        let output =
            command.args(&set.args).current_dir(self.relayed.directory("project")).output().expect("act-claude");
        assert_eq!(output.code(), 0, "{row:?}: {}", output.err());
        let way = way(self.site.act.requests().len() > before, &self.site.asked());
        set.undo(&mut self.relayed);
        let said = output.err();
        let expected = if way == Way::Nowhere { "1 export waiting" } else { "1 export delivered (2 points)" };
        assert!(said.contains(expected), "{row:?}: {said}");
        if way == Way::Nowhere {
            let history = self.relayed.act_claude(&["act", "history"]).output().expect("history").out();
            assert!(history.contains("waiting"), "{row:?}: {history}");
        }
        (way, said)
    }

    fn state(&self, number: usize) -> PathBuf {
        self.relayed.root().join(format!("state {number}"))
    }

    /// Waiting exports are delivered once the setting is removed.
    fn nothing_is_lost(&mut self, number: usize) {
        configure(&self.relayed, &format!("https://{SERVER}{PATH}"), 30_000);
        self.relayed.set("XDG_STATE_HOME", self.state(number));
        let before = self.site.act.requests().len();
        let flushed = eventually("its relay has ended", || {
            let flushed = self.relayed.act_claude(&["act", "flush", "--to", "billing"]).output().expect("flush");
            (flushed.code() == 0).then(|| flushed.out())
        });
        assert_eq!(self.site.act.requests().len(), before + 1, "{:?}: {flushed}", ROWS[number]);
    }
}

/// A row's variables and settings.
struct Set {
    before: Vec<(&'static str, Option<String>)>,
    files: Vec<PathBuf>,
    /// Additional arguments for claude.
    args: Vec<String>,
}

impl Set {
    fn apply(sandbox: &mut Sandbox, row: &Row) -> Self {
        let mut set = Self { before: Vec::new(), files: Vec::new(), args: Vec::new() };
        let mut layers: BTreeMap<Layer, serde_json::Map<String, Value>> = BTreeMap::new();
        for (layer, name, value) in row.settings {
            let value = value.replace('~', &sandbox.home().display().to_string());
            if *layer == Layer::Environment {
                set.before.push((*name, sandbox.get(name).map(str::to_owned)));
                sandbox.set(name, value);
            } else {
                layers.entry(*layer).or_default().insert((*name).to_owned(), Value::from(value));
            }
        }
        for (layer, env) in layers {
            let text = json!({ "env": env }).to_string();
            match layer {
                Layer::Environment => {}
                Layer::Argument => set.args = vec!["--settings".to_owned(), text],
                Layer::User => set.files.push(sandbox.write(".claude/settings.json", text)),
                Layer::Project => set.files.push(sandbox.write("project/.claude/settings.json", text)),
                Layer::Managed => {
                    let path = PathBuf::from("/etc/claude-code/managed-settings.json");
                    std::fs::write(&path, text).expect("managed settings");
                    set.files.push(path);
                }
            }
        }
        set
    }

    fn undo(self, sandbox: &mut Sandbox) {
        for (name, value) in self.before {
            match value {
                Some(value) => sandbox.set(name, value),
                None => sandbox.unset(name),
            }
        }
        self.files.iter().for_each(|path| std::fs::remove_file(path).expect("it was written"));
    }
}

/// The routes of a client and of the relay with a row.
struct Seen {
    number: usize,
    bare: Way,
    relay: Way,
    said: String,
}

/// One client's part of the table, for the wanted rows.
fn observe(version: &'static str, wanted: impl Fn(&Row) -> bool) -> Option<Vec<Seen>> {
    let mut bench = Bench::start(version)?;
    let mut seen = Vec::new();
    for (number, row) in ROWS.iter().enumerate().filter(|(_, row)| wanted(row)) {
        let bare = bench.bare(row);
        let (relay, said) = bench.relay(row, number);
        eprintln!("{version}: {}: {bare}, relay: {relay}", row.words());
        if relay == Way::Nowhere {
            let is_named = row.settings.iter().any(|(_, name, _)| said.contains(name));
            assert!(is_named, "the cause of {row:?} is not named: {said}");
        }
        seen.push(Seen { number, bare, relay, said });
    }
    let waiting = seen.iter().filter(|seen| seen.relay == Way::Nowhere);
    waiting.for_each(|seen| bench.nothing_is_lost(seen.number));
    Some(seen)
}

/// Asserts that the relay does the same as the newer client, unless the row has a reason.
fn assert_equal(seen: &[Seen]) {
    let differs = |seen: &&Seen| ROWS[seen.number].instead.is_empty() && seen.bare != seen.relay;
    let show =
        |seen: &Seen| format!("{}: {}, relay: {}: {}", ROWS[seen.number].words(), seen.bare, seen.relay, seen.said);
    let differing: Vec<String> = seen.iter().filter(differs).map(show).collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// The rows of the page, found by their first columns.
fn page() -> Vec<String> {
    let text = std::fs::read_to_string(PAGE).expect("the page");
    let table = text.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END)).expect("a table").0;
    table.lines().filter(|line| line.starts_with("| ")).skip(1).map(str::to_owned).collect()
}

fn line(row: &Row, old: &Way, new: &Way, relay: &Way) -> String {
    let relay = match relay {
        Way::Nowhere => "waits".to_owned(),
        way => way.to_string(),
    };
    let relay = if row.instead.is_empty() { relay } else { format!("{relay}: {}", row.instead) };
    format!("| {} | {} | {old} | {new} | {relay} |", row.words(), row.server)
}

/// Asserts that a client's column of the page and the relay's column are what both do now.
fn as_on_the_page(version: &'static str, column: usize) {
    let Some(seen) = observe(version, |row| row.always) else { return };
    let page = page();
    assert_eq!(page.len(), ROWS.len(), "the table has not as many rows as there are settings");
    for Seen { number, bare, relay, said } in &seen {
        let cells: Vec<&str> = page[*number].trim_matches('|').split(" | ").map(str::trim).collect();
        let row = &ROWS[*number];
        assert_eq!((cells[0], cells[column]), (row.words().as_str(), bare.to_string().as_str()));
        let shown = line(row, bare, bare, relay);
        assert!(shown.ends_with(&format!("| {} |", cells[4])), "{shown} instead of {}: {said}", page[*number]);
    }
    if version == client::NEW {
        assert_equal(&seen);
    }
}

#[test]
fn some_proxy_settings_with_the_old_client() {
    as_on_the_page(client::OLD, 2);
}

#[test]
fn some_proxy_settings_with_the_new_client() {
    as_on_the_page(client::NEW, 3);
}

/// Takes minutes; the two tests above use some of its rows. `ACT_CLAUDE_WRITE_PROXIES` writes the page.
#[test]
#[ignore = "takes minutes"]
fn every_proxy_setting() {
    let old = std::thread::spawn(|| observe(client::OLD, |_| true));
    let new = observe(client::NEW, |_| true);
    let (Some(old), Some(new)) = (old.join().expect("the old client"), new) else { return };
    let lines: Vec<String> =
        old.iter().zip(&new).map(|(old, new)| line(&ROWS[old.number], &old.bare, &new.bare, &new.relay)).collect();
    if std::env::var_os("ACT_CLAUDE_WRITE_PROXIES").is_some() {
        let text = std::fs::read_to_string(PAGE).expect("the page");
        let (before, rest) = text.split_once(BEGIN).expect("a table");
        let (_, after) = rest.split_once(END).expect("its end");
        let head =
            format!("| setting | server | {} | {} | the relay |\n|---|---|---|---|---|", client::OLD, client::NEW);
        let table = format!("\n{head}\n{}\n\n", lines.join("\n"));
        std::fs::write(PAGE, format!("{before}{BEGIN}{table}{END}{after}")).expect("written");
    }
    assert_equal(&new);
    assert!(old.iter().zip(&new).all(|(old, new)| old.relay == new.relay), "the relay does not depend on the client");
    assert_eq!(page(), lines, "the page is not what was seen");
}
