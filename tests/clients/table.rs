//! What works with which version of Claude Code. `tests/clients-table` runs it, and docs/clients.md has the result.

use std::collections::BTreeSet;
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::background_lab::{self, BackgroundLab};
use crate::overlay::recipe;
use crate::support::act::resource_attributes;
use crate::support::client::Lab;
use crate::support::http::Request;
use crate::support::sandbox::Text;

/// What the table says where claude fails with act-claude and succeeds without it. No version may have it.
const FAILS: &str = "**claude fails**";

const HEAD: &str = "\
# Versions of Claude Code

<!-- Written by tests/clients-table. -->

What works with which version. Each one ran in a network with loopback only, with stand-ins for the Messages API and for ACT, once
without act-claude and once with it.

| version | kind | `-p` | user settings | own `--settings` | `--verify` | through a script | `--bg` |
|---|---|---|---|---|---|---|---|
";

const TAIL: &str = "
The columns:

- *`-p`*: `claude -p hi` in a directory with an alias.
- *user settings*: the same where the user's settings.json has the variables that Boomi documents, for another alias.
- *own `--settings`*: the same with a `--settings` of the user's own, which has to stay in effect.
- *`--verify`*: the same with `--verify`: the exit status is 0 and the verdict *delivered*.
- *through a script*: the same as user settings, with `--verify`, where `claude` is a script that starts the real one, so that its
  version is not known.
- *`--bg`*: a background agent in each of two directories with different aliases.

The cells:

- *ok*: claude's output and exit status are those without act-claude, and the exports arrive at ACT under the directory's alias.
- *ok, without a log*: the verdict comes from what the relay knows. Before 2.1.20 claude can't write its log into a file of
  act-claude's choice, and a claude of unknown version is not asked to.
- *all under one alias*: claude starts its background agents without act-claude. All of them report under the alias of the first one.
- *not in this client*: claude has no such option. It says so itself, with the same exit status as without act-claude.
- *fails without act-claude, too*: with the same exit status.
- *no*: claude works as without act-claude, but its exports do not arrive as they should.
- *claude fails*: claude works without act-claude, and fails with it. `tests/clients-table` then fails.

act-claude sets variables and adds at most two arguments, `--settings` (where claude's settings files would override the variables) and,
with `--verify`, `--debug-file`. Claude ignores a variable that it does not know, but refuses to start with an argument that it does not know. So `--debug-file` is
added only where the version is known to take it: from the path of the executable, from its npm package, from the first lines of its
script, or from an earlier session. `--settings` is added unless the version is known to be older than 1.0.61.
";

/// One run of a program.
struct Run {
    output: Output,
}

impl Run {
    /// Its exit status as a shell gives it. After two minutes the program is ended: 124.
    fn code(&self) -> i32 {
        self.output.code()
    }

    fn succeeds(&self) -> bool {
        self.code() == 0
    }
}

fn run(lab: &Lab, program: &std::path::Path, directory: &str, args: &[&str]) -> Run {
    let mut command = lab.sandbox.command("timeout");
    command.args(["--kill-after=5", "120"]).arg(program).args(args);
    let output = command.current_dir(lab.sandbox.directory(directory)).output().expect("timeout");
    Run { output }
}

fn bare(lab: &Lab, directory: &str, args: &[&str]) -> Run {
    run(lab, &lab.claude, directory, args)
}

fn with_us(lab: &Lab, directory: &str, args: &[&str]) -> Run {
    run(lab, &crate::support::act_claude(), directory, args)
}

/// The cell: what claude does comes first, then what `arrived` says of its exports.
fn cell(bare: &Run, ours: &Run, arrived: impl FnOnce() -> Result<String, String>) -> String {
    let is_unknown = bare.output.err().contains("unknown option");
    match (bare.succeeds(), ours.succeeds()) {
        (false, _) if bare.code() != ours.code() => format!("no: status {}, not {}", ours.code(), bare.code()),
        (false, _) if is_unknown => "not in this client".to_owned(),
        (false, _) => "fails without act-claude, too".to_owned(),
        (true, false) => {
            eprintln!("{}{}", ours.output.out(), ours.output.err());
            FAILS.to_owned()
        }
        (true, true) => match arrived() {
            Ok(note) if note.is_empty() => "ok".to_owned(),
            Ok(note) => format!("ok, {note}"),
            Err(why) => format!("no: {why}"),
        },
    }
}

/// How long exports may take. It is long, because the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits for requests at ACT until `enough` is content with the new ones, or the patience is over.
fn arrivals(lab: &Lab, before: usize, enough: impl Fn(&[Request]) -> bool) -> Vec<Request> {
    let end = Instant::now() + PATIENCE;
    loop {
        let new = lab.act.requests().split_off(before);
        if enough(&new) || Instant::now() > end {
            return new;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether everything that arrived has our alias and attributes, and `attribute` of the user's.
fn arrived(lab: &Lab, before: usize, attribute: Option<(&str, &str)>) -> Result<String, String> {
    let requests = arrivals(lab, before, |new| !new.is_empty());
    if requests.is_empty() {
        return Err("nothing arrives".to_owned());
    }
    for request in requests {
        if request.header("x-alias-id") != Some("id-billing") {
            return Err("another alias".to_owned());
        }
        let attributes = resource_attributes(&request.json());
        let expected = [Some(("providerType", "CUSTOM_PROVIDER")), attribute];
        if expected.into_iter().flatten().any(|(name, value)| attributes.get(name).is_none_or(|is| is != value)) {
            return Err("other attributes".to_owned());
        }
    }
    Ok(String::new())
}

/// `-p`, user settings, own `--settings`, `--verify`, through a script.
fn sessions(lab: &mut Lab) -> [String; 5] {
    lab.sandbox.configure_one(&lab.act.endpoint());
    let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", lab.claude.display());
    let script = lab.sandbox.script("scripts/claude", &script);
    let [print, beaten, kept, verify] = by_its_own_name(lab);
    lab.sandbox.write(".claude/settings.json", recipe(lab).to_string());
    let without = bare(lab, "project", &["-p", "hi"]);
    lab.sandbox.set("ACT_CLAUDE_BIN", script);
    let wrapped = compare(lab, &without, &["--verify", "-p", "hi"], None);
    [print, beaten, kept, verify, wrapped]
}

/// Runs act-claude with these arguments, where claude alone ran as `without`.
fn compare(lab: &Lab, without: &Run, args: &[&str], attribute: Option<(&str, &str)>) -> String {
    let before = lab.act.requests().len();
    let ours = with_us(lab, "project", args);
    cell(without, &ours, || {
        if ours.output.out() != without.output.out() {
            return Err(format!("it prints {:?}", ours.output.out()));
        }
        let note = arrived(lab, before, attribute)?;
        let has_no_log = ours.output.err().contains("there is no log");
        Ok(if has_no_log { "without a log".to_owned() } else { note })
    })
}

fn by_its_own_name(lab: &Lab) -> [String; 4] {
    let without = bare(lab, "project", &["-p", "hi"]);
    let try_with = |args: &[&str], attribute| compare(lab, &without, args, attribute);
    let print = try_with(&["-p", "hi"], None);
    let verify = try_with(&["--verify", "-p", "hi"], None);
    let settings = lab.sandbox.write(".claude/settings.json", recipe(lab).to_string());
    let beaten = try_with(&["-p", "hi"], None);
    let own = json!({"env": {"OTEL_RESOURCE_ATTRIBUTES": "team=seven"}}).to_string();
    let kept = try_with(&["--settings", &own, "-p", "hi"], Some(("team", "seven")));
    std::fs::remove_file(settings).expect("it was written");
    [print, beaten, kept, verify]
}

fn background(version: &'static str) -> String {
    let lab = || background_lab::lab(version).expect("a lab");
    let without = {
        let lab = lab();
        let running = BackgroundLab(&lab);
        let without = bare(&lab, "one", &["--bg", "hello"]);
        drop(running);
        without
    };
    let lab = lab();
    let _running = BackgroundLab(&lab);
    let ours = with_us(&lab, "one", &["--bg", "hello"]);
    cell(&without, &ours, || {
        let aliases = |new: &[Request]| -> BTreeSet<String> {
            new.iter().filter_map(|request| request.header("x-alias-id").map(str::to_owned)).collect()
        };
        if arrivals(&lab, 0, |new| !new.is_empty()).is_empty() {
            return Err("nothing arrives".to_owned());
        }
        let first = lab.act.requests().len();
        if !with_us(&lab, "two", &["--bg", "hello"]).succeeds() {
            return Err("the second agent does not start".to_owned());
        }
        let both = ["id-one".to_owned(), "id-two".to_owned()].into();
        let seen = aliases(&arrivals(&lab, 0, |new| aliases(new) == both));
        match lab.act.requests().len() > first {
            true if seen == both => Ok(String::new()),
            true if seen.len() == 1 => Ok("all under one alias".to_owned()),
            true => Err(format!("{seen:?}")),
            false => Err("nothing of the second agent arrives".to_owned()),
        }
    })
}

fn row(version: &'static str) -> Option<String> {
    let mut lab = Lab::start(version, &["project"])?;
    let kind = if lab.claude.ends_with(".bin/claude") { "Node" } else { "native" };
    let cells = sessions(&mut lab).join(" | ");
    Some(format!("| {version} | {kind} | {cells} | {} |\n", background(version)))
}

#[test]
#[ignore = "tests/clients-table runs it"]
fn every_client() {
    let versions = std::env::var("CLIENTS").expect("CLIENTS, the versions");
    let mut rows = String::new();
    for version in versions.split_whitespace() {
        let Some(row) = row(version.to_owned().leak()) else { return };
        print!("\n{row}");
        rows.push_str(&row);
    }
    if let Some(file) = std::env::var_os("CLIENTS_TABLE") {
        let date = std::env::var("CLIENTS_DATE").unwrap_or_default();
        let made = format!("\nTried on {date} with act-claude {}, on Linux x86-64.\n", env!("CARGO_PKG_VERSION"));
        std::fs::write(file, [HEAD, &rows, &made, TAIL].concat()).expect("written");
    }
    assert!(!rows.contains(FAILS), "claude fails where it succeeds without act-claude");
}
