//! Every kind of failure with the real clients: output and exit status are the same as without act-claude.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::overlay;
use crate::support::act::{Act, accepted};
use crate::support::client::{self, Lab};
use crate::support::failures::{assert_hardly_slower, cases, configure};
use crate::support::http::Reply;
use crate::support::sandbox::Text;
use crate::support::tls::Authority;
use crate::support::tunnel::Tunnel;

/// How many points one turn of a real client exports.
const POINTS: usize = 7;

fn every(version: &'static str, wanted: impl Fn(&str) -> bool) {
    let Some(mut lab) = Lab::start(version, &["project"]) else { return };
    let bare = lab.claude("project", &["-p", "hi"]).output().unwrap();
    assert_eq!((bare.out().as_str(), bare.err().as_str(), bare.code()), ("hello there\n", "", 0));
    for case in cases().iter().filter(|case| wanted(case.name)) {
        let arranged = case.arrange(&mut lab.sandbox);
        let state = lab.sandbox.root().join(format!("state {}", case.name));
        lab.sandbox.set("XDG_STATE_HOME", state);
        let ours = lab.act_claude("project", &["-p", "hi", "--report", "always"]).output().unwrap();
        assert_eq!((ours.out(), ours.code()), (bare.out(), 0), "{}: {}", case.name, ours.err());
        assert_eq!(ours.err(), case.line(&arranged, POINTS), "{}", case.name);
    }
}

#[test]
fn every_failure_with_the_new_client() {
    every(client::NEW, |_| true);
}

#[test]
fn some_failures_with_the_old_client() {
    let some =
        ["401", "404, an unknown alias", "400", "503", "partial", "unknown certificate", "proxy refusing", "hanging"];
    every(client::OLD, |name| some.contains(&name));
}

/// HTTPS through a proxy with a company's certificate: ACT gets the export, and claude's own requests do not use that
/// proxy.
#[test]
fn https_through_a_proxy() {
    for version in client::BOTH {
        let Some(mut lab) = Lab::start(version, &["project"]) else { return };
        let authority = Authority::for_names(&["act.test"]);
        let act = Act::start_tls(&authority);
        let tunnel = Tunnel::to(act.port());
        configure(&lab.sandbox, "https://act.test/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics", 30_000);
        let roots = authority.write_to(&lab.sandbox.root().join("ca.pem"));
        lab.sandbox.set("NODE_EXTRA_CA_CERTS", roots);
        lab.sandbox.set("HTTPS_PROXY", format!("http://{}", tunnel.address()));
        lab.sandbox.set("NO_PROXY", "127.0.0.1");
        let ours = lab.act_claude("project", &["-p", "hi", "--report", "always"]).output().unwrap();
        assert_eq!((ours.out().as_str(), ours.code()), ("hello there\n", 0), "{}", ours.err());
        assert!(ours.err().starts_with("act-claude: billing: 1 export delivered (7 points)\n"), "{}", ours.err());
        assert_eq!(act.requests().len(), 1);
    }
}

/// A client, and an ACT that does not answer.
fn hanging(version: &'static str) -> Option<Lab> {
    let lab = Lab::start(version, &["project"])?;
    lab.act.answer(Reply::Hang);
    lab.sandbox.configure_one(&lab.act.endpoint());
    Some(lab)
}

fn time(command: &mut std::process::Command) -> Duration {
    let start = Instant::now();
    assert_eq!(command.output().unwrap().out(), "hello there\n");
    start.elapsed()
}

/// While ACT hangs, a run takes at most half a second longer than a run without telemetry.
#[test]
fn a_hanging_act_costs_less_than_half_a_second() {
    for version in client::BOTH {
        let Some(lab) = hanging(version) else { return };
        assert_hardly_slower(
            || time(&mut lab.claude("project", &["-p", "hi"])),
            || time(&mut lab.act_claude("project", &["-p", "hi"])),
        );
    }
}

/// With the vendor's recipe in the user's settings claude itself waits for a hanging ACT. The best times are printed
/// for `tests/bench clients`.
#[test]
fn a_hanging_act_costs_the_vendor_recipe_more() {
    for version in client::BOTH {
        let Some(lab) = hanging(version) else { return };
        let settings = lab.sandbox.home().join(".claude/settings.json");
        let mut best = [Duration::MAX; 3];
        // The best of several runs, because other programs may use the processor meanwhile.
        for _ in 0..6 {
            let _ = std::fs::remove_file(&settings);
            best[0] = best[0].min(time(&mut lab.claude("project", &["-p", "hi"])));
            best[1] = best[1].min(time(&mut lab.act_claude("project", &["-p", "hi"])));
            lab.sandbox.write(".claude/settings.json", overlay::recipe(&lab).to_string());
            best[2] = best[2].min(time(&mut lab.claude("project", &["-p", "hi"])));
            if best[1] + Duration::from_millis(1500) < best[2] {
                break;
            }
        }
        let [bare, ours, recipe] = best.map(|time| time.as_millis());
        println!("{}", json!({"client": version, "bare": bare, "act-claude": ours, "recipe": recipe}));
        assert!(ours + 1500 < recipe, "{ours} ms, {recipe} ms with the recipe");
    }
}

/// Commands that export nothing, and a session with output in one pipe: no message when all is well.
#[test]
fn nothing_is_printed_when_all_is_well() {
    for version in client::BOTH {
        let Some(lab) = Lab::start(version, &["project"]) else { return };
        lab.act.answer(accepted());
        configure(&lab.sandbox, &lab.act.endpoint(), 30_000);
        for args in [&["mcp", "list"][..], &["plugin", "list"], &["--version"]] {
            let (bare, ours) =
                (lab.claude("project", args).output().unwrap(), lab.act_claude("project", args).output().unwrap());
            assert_eq!((ours.out(), ours.err(), ours.code()), (bare.out(), bare.err(), bare.code()), "{args:?}");
            let always = lab.act_claude("project", &[&["--report", "always"], args].concat()).output().unwrap();
            assert!(!always.err().contains("no metrics"), "{args:?}: {}", always.err());
        }
        let line = format!("exec {} -p hi 2>&1", crate::support::act_claude().display());
        let mut piped = lab.sandbox.command("sh");
        piped.args(["-c", &line]).current_dir(lab.sandbox.directory("project"));
        assert_eq!(piped.output().unwrap().out(), "hello there\n");
    }
}
