//! The token is sent to no address except the account's endpoint, whatever form of settings file names another one.

use crate::support::client;
use crate::support::sandbox::Text;

use super::bench::{Bench, holds_token};
use super::forms::named;
use super::layers::{LAYERS, Layer};

const FORMS: [&str; 3] = ["byte order mark", "UTF-16LE, mark", "byte that is no UTF-8 in a text"];

fn each(version: &'static str, check: fn(&Bench, &str, Layer)) {
    let Some(bench) = Bench::start(version) else { return };
    for form in FORMS {
        for layer in LAYERS {
            check(&bench, form, layer);
        }
    }
}

/// Without the relay, claude gets no token if a file redirects exports, for any client.
fn direct(bench: &Bench, form: &str, layer: Layer) {
    let what = format!("{} {form} {layer:?}", bench.lab.version);
    let Some(placed) = bench.place(named(form), layer) else { return };
    let (output, elsewhere) = bench.ours(&placed, &["--direct"]);
    assert_eq!((output.out().as_str(), output.code()), ("hello there\n", 0), "{what}: {}", output.err());
    assert!(!elsewhere.iter().any(holds_token), "{what}: the token went elsewhere: {elsewhere:?}");
    let err = output.err();
    assert!(err.contains("would receive your ACT token") && placed.is_named_in(&err), "{what}: {err}");
}

/// The relay's exports arrive, or the file that redirects them is named.
fn relayed(bench: &Bench, form: &str, layer: Layer) {
    let what = format!("{} {form} {layer:?}", bench.lab.version);
    let Some(placed) = bench.place(named(form), layer) else { return };
    let before = bench.lab.act.requests().len();
    let (output, elsewhere) = bench.ours(&placed, &[]);
    assert_eq!((output.out().as_str(), output.code()), ("hello there\n", 0), "{what}: {}", output.err());
    assert!(!elsewhere.iter().any(holds_token), "{what}: the token went elsewhere: {elsewhere:?}");
    if elsewhere.is_empty() {
        bench.lab.act.wait_for(before + 1);
    } else {
        assert!(matches!(layer, Layer::Managed | Layer::DropIn), "{what}: {elsewhere:?}");
        assert!(placed.is_named_in(&output.err()), "{what}: {}", output.err());
    }
}

#[test]
fn direct_old_client() {
    each(client::OLD, direct);
}

#[test]
fn direct_new_client() {
    each(client::NEW, direct);
}

#[test]
fn relay_old_client() {
    each(client::OLD, relayed);
}

#[test]
fn relay_new_client() {
    each(client::NEW, relayed);
}
