//! Command lines as people write them: own flags in front, claude's arguments, own flags at the end.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use act_claude::claude::operand::is_value;
use act_claude::plan::flags::{Flags, Invocation, own_flag, parse};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Own flags, with the values of those that take one.
const OWN: [&[&str]; 8] = [
    &["--alias", "web"],
    &["--alias", "a b"],
    &["--alias=a b"],
    &["--verify"],
    &["--direct"],
    &["--no-act"],
    &["--report", "json"],
    &["--report=json"],
];

fn own() -> impl Strategy<Value = Vec<&'static str>> {
    select(&OWN[..]).prop_map(<[&str]>::to_vec)
}

/// Arguments for claude, including unusual ones.
const KNOWN: [&str; 14] = [
    "-p",
    "fix it",
    "--",
    "--settings",
    "x",
    "--alias=web",
    "--verify=1",
    "-",
    "",
    "mcp",
    "act",
    "--bg",
    "Alias",
    "--version",
];

fn argument() -> impl Strategy<Value = OsString> {
    prop_oneof![
        4 => select(&KNOWN[..]).prop_map(OsString::from),
        1 => select(&["--alias", "--verify", "--report", "json"][..]).prop_map(OsString::from),
        2 => vec(any::<u8>().prop_filter("no NUL in an argument", |byte| *byte != 0), 0..6).prop_map(OsString::from_vec),
    ]
}

/// An argument that is not one of our flags.
fn claudes() -> impl Strategy<Value = OsString> {
    argument().prop_filter("claude's", |arg| arg != "--" && own_flag(arg).is_none())
}

fn run(args: Vec<OsString>) -> Option<(Flags, Vec<OsString>)> {
    match parse(args, |_| false) {
        Ok(Invocation::Run { flags, args }) => Some((flags, args)),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_line_is_read_as_the_reference_reads_it(args in vec(argument(), 0..8)) {
        super::arguments::scanned(&args);
    }

    #[test]
    fn a_session_s_arguments_are_passed_on_unchanged(
        front in vec(own(), 0..3), args in vec(claudes(), 0..6), back in vec(own(), 0..3),
    ) {
        let args = [vec![OsString::from("-p")], args].concat();
        // A flag behind one of claude's that needs a value is that value.
        prop_assume!(!is_value(&args, args.len()));
        let flags = |flags: &[Vec<&str>]| flags.concat().into_iter().map(OsString::from).collect::<Vec<_>>();
        let line = [flags(&front), args.clone(), flags(&back)].concat();
        let (read, rest) = run(line).expect("a line without faults");
        prop_assert_eq!(rest, args);
        // Flags in front have the same meaning as at the end, and the last one takes effect.
        let (other, _) = run([flags(&front), flags(&back)].concat()).unwrap();
        prop_assert_eq!(read, other);
    }

    #[test]
    fn after_a_word_or_dashes_no_flag_is_ours(
        front in vec(own(), 0..3), args in vec(argument(), 0..6), back in vec(own(), 0..3), dashes: bool,
    ) {
        let first = if dashes { vec!["-p", "--"] } else { vec!["mcp"] };
        let first: Vec<OsString> = first.into_iter().map(OsString::from).collect();
        let back = back.concat().into_iter().map(OsString::from).collect();
        let front: Vec<OsString> = front.concat().into_iter().map(OsString::from).collect();
        let args = [first, args, back].concat();
        let (_, rest) = run([front, args.clone()].concat()).expect("a line without faults");
        prop_assert_eq!(rest, args);
    }

    #[test]
    fn no_flag_of_ours_is_left(args in vec(argument(), 0..8)) {
        if let Some((_, rest)) = run(args) && rest.first().is_none_or(|first| first != "act") {
            prop_assert_eq!(run(rest.clone()), Some((Flags::default(), rest)));
        }
    }
}
