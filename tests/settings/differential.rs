//! The real clients show where they export with each form in each layer. act-claude's decision about the same file must
//! agree.
//!
//! All cases, writing the table in docs/observed-settings.md again:
//! `cargo test --test settings -- --ignored --nocapture`

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use crate::support::client;

use super::bench::{Bench, Way};
use super::decision::{Decider, Decision};
use super::forms::{FORMS, Form, named};
use super::layers::{LAYERS, Layer};

/// The file with the table.
const TABLE: &str = "docs/observed-settings.md";
const MARK: &str = "<!-- table -->\n";

type Case = (usize, Layer);
type Ways = BTreeMap<(&'static str, Case), Way>;

/// Runs both clients with all cases, several in parallel. `None`: skipped, with a message.
fn observe(cases: &[Case]) -> Option<Ways> {
    // Several threads per core, because a client waits as much as it computes.
    let threads = 4 * std::thread::available_parallelism().map_or(2, usize::from);
    let mut todo: Vec<(&'static str, Case)> = Vec::new();
    for version in client::BOTH {
        // The last one is taken first.
        todo.extend(cases.iter().rev().map(|case| (version, *case)));
    }
    let (todo, ways) = (Arc::new(Mutex::new(todo)), Arc::new(Mutex::new(Ways::new())));
    let work = || {
        let (todo, ways) = (todo.clone(), ways.clone());
        std::thread::spawn(move || {
            let mut benches: BTreeMap<&'static str, Bench> = BTreeMap::new();
            loop {
                let Some((version, (form, layer))) = todo.lock().unwrap().pop() else { return true };
                if !benches.contains_key(version) {
                    // In one network only one process can listen on port 4318.
                    benches.clear();
                    let Some(bench) = Bench::start(version) else { return false };
                    benches.insert(version, bench);
                }
                let bench = &benches[version];
                let Some(placed) = bench.place(&FORMS[form], layer) else { continue };
                // An overloaded machine may also export nothing, so this result is checked a second time.
                let way = Some(bench.bare(&placed)).filter(|way| *way != Way::Nowhere);
                let way = way.unwrap_or_else(|| bench.bare(&placed));
                println!("{version} {layer:?} {}: {}", FORMS[form].name, way.word());
                ways.lock().unwrap().insert((version, (form, layer)), way);
            }
        })
    };
    let workers: Vec<_> = (0..threads).map(|_| work()).collect();
    let all = workers.into_iter().map(|worker| worker.join().expect("no panic")).collect::<Vec<_>>();
    all.into_iter().all(|ran| ran).then(|| Arc::into_inner(ways).unwrap().into_inner().unwrap())
}

/// What is wrong with a decision, given where the clients export.
fn misfit(decision: Decision, ways: &[Way]) -> Option<&'static str> {
    let led_away = ways.iter().any(|way| way.is_led_away());
    match () {
        () if decision.direct && led_away => Some("--direct gives the token to a claude that exports elsewhere"),
        () if led_away && !decision.overlay && !decision.said => {
            Some("exports leave for elsewhere, and nothing is said")
        }
        () if led_away && !decision.overlay && decision.runs => {
            Some("exports leave for elsewhere, and required is met")
        }
        () => None,
    }
}

/// act-claude's decisions, and those that are wrong.
fn compare(cases: &[Case], ways: &Ways) -> (BTreeMap<Case, Decision>, Vec<String>) {
    let decider = Decider::new();
    let mut decisions = BTreeMap::new();
    let mut misfits = Vec::new();
    for &(form, layer) in cases {
        let Some(decision) = decider.decide(&FORMS[form], layer) else { continue };
        let of_clients: Vec<Way> = client::BOTH.iter().map(|version| ways[&(*version, (form, layer))]).collect();
        if let Some(misfit) = misfit(decision, &of_clients) {
            misfits.push(format!("{} {layer:?}: {misfit}: {of_clients:?} {decision:?}", FORMS[form].name));
        }
        decisions.insert((form, layer), decision);
    }
    (decisions, misfits)
}

fn table(ways: &Ways, decisions: &BTreeMap<Case, Decision>) -> String {
    let headings: Vec<&str> = LAYERS.iter().map(|layer| layer.heading()).collect();
    let mut text = format!("| form | {} |\n|---|{}\n", headings.join(" | "), "---|".repeat(LAYERS.len()));
    for (index, form) in FORMS.iter().enumerate() {
        write!(text, "| {} |", form.name).unwrap();
        for layer in LAYERS {
            let case = (index, layer);
            let Some(decision) = decisions.get(&case) else {
                text.push_str(" |");
                continue;
            };
            let [old, new] = client::BOTH.map(|version| ways[&(version, case)].word());
            let clients = if old == new { old.to_owned() } else { format!("{old} / {new}") };
            write!(text, " {clients}: {} |", decision.word()).unwrap();
        }
        text.push('\n');
    }
    text
}

fn index(name: &str) -> usize {
    FORMS.iter().position(|form: &Form| form.name == name).expect(name)
}

/// Forms that were handled wrongly before, as examples for all.
#[test]
fn forms_that_a_stricter_reader_would_ignore() {
    let names =
        ["byte order mark", "UTF-16LE, mark", "byte that is no UTF-8 in a text", "2 MiB and a byte", "endpoint null"];
    assert!(names.iter().all(|name| !named(name).bytes("http://x").is_empty()));
    let mut cases: Vec<Case> = Vec::new();
    for name in names {
        cases.extend(LAYERS.iter().map(|layer| (index(name), *layer)));
    }
    let Some(ways) = observe(&cases) else { return };
    let (_, misfits) = compare(&cases, &ways);
    assert!(misfits.is_empty(), "{}", misfits.join("\n"));
}

/// All cases; writes the table.
#[test]
#[ignore = "takes a quarter of an hour"]
fn all_forms_in_all_layers() {
    let cases: Vec<Case> = (0..FORMS.len()).flat_map(|form| LAYERS.map(|layer| (form, layer))).collect();
    let Some(ways) = observe(&cases) else { return };
    let (decisions, misfits) = compare(&cases, &ways);
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(TABLE);
    let text = std::fs::read_to_string(&file).expect(TABLE);
    let (hand, _) = text.split_once(MARK).expect("the mark");
    std::fs::write(&file, format!("{hand}{MARK}\n{}", table(&ways, &decisions))).expect("written");
    assert!(misfits.is_empty(), "{}", misfits.join("\n"));
}
