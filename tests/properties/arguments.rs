//! Command lines: own flags are taken out, everything else is unchanged.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use act_claude::claude::arguments::{Call, call, is_background};
use act_claude::claude::arguments::{Position, argument_position};
use act_claude::claude::operand::needs_value;
use act_claude::claude::overlay::rewrite;
use act_claude::config::when::When;
use act_claude::plan::flags::{FLAGS, Flags, Invocation, UsageError, parse};

const WORDS: [&str; 32] = [
    "--alias\n",
    "--alias\nbilling\n",
    "--verify\n",
    "--direct\n",
    "--no-act\n",
    "--report\njson\n",
    "--report\nalwys\n",
    "--report\n",
    "--alias=x\n",
    "--alias=\n",
    "--report=never\n",
    "--report=nevr\n",
    "--verify=1\n",
    "--settings\n",
    "--settings={}\n",
    "--settings\n{}\n",
    "--bg\n",
    "--background\n",
    "--\n",
    "-p\n",
    "--debug-file\n",
    "act\n",
    "/bin/sh\n",
    "/no/such\n",
    "mcp\nadd\n",
    "two words\n",
    "--version\n",
    "-\n",
    "\n",
    "auto",
    "ä",
    "--",
];

/// One argument a line.
pub fn check(data: &[u8]) {
    let text = crate::spelled::spelled(data, &WORDS);
    let args: Vec<OsString> = text.split(|&byte| byte == b'\n').map(|arg| OsStr::from_bytes(arg).to_owned()).collect();
    for args in [&args[..], &args[..args.len() - 1]] {
        scanned(args);
        overlaid(args);
    }
}

/// The answer equals that of [`reference`], which uses another algorithm.
pub fn scanned(args: &[OsString]) {
    let is_executable = |path: &Path| path.as_os_str() == "/bin/sh";
    let parsed = parse(args.to_vec(), is_executable);
    match (&parsed, args.first()) {
        (Ok(Invocation::Act(rest)), Some(first)) => assert!(first == "act" && rest[..] == args[1..]),
        (Ok(Invocation::Launcher { claude, args: rest }), Some(first)) => {
            assert!(claude.as_os_str() == first && first == "/bin/sh" && rest[..] == args[1..]);
        }
        (_, Some(first)) if first == "act" || first == "/bin/sh" => panic!("{parsed:?} from {args:?}"),
        (Ok(Invocation::Run { flags, args: rest }), _) => {
            let (expected, left) = reference(args).unwrap_or_else(|| panic!("{parsed:?} from {args:?}"));
            assert_eq!((flags, &rest[..]), (&expected, left), "{args:?}");
        }
        (Err(UsageError::MissingValue(flag)), _) => {
            let joined = format!("{flag}=");
            let is_there = |arg: &OsString| arg == flag || arg.as_bytes().starts_with(joined.as_bytes());
            assert!(reference(args).is_none() && args.iter().any(is_there), "{args:?}");
        }
        (Err(error @ UsageError::BadValue { flag, value }), _) => {
            assert!(reference(args).is_none(), "{args:?}");
            let given = args.windows(2).any(|two| two[0] == *flag && two[1].to_string_lossy() == *value)
                || args.iter().any(|arg| arg.to_string_lossy() == format!("{flag}={value}"));
            assert!(given && When::parse(value).is_none() && !error.to_string().is_empty(), "{args:?}");
        }
        other => panic!("{other:?}"),
    }
    let joined: Vec<u8> = args.join(OsStr::new("\n")).into_vec();
    assert!(!is_background(args) || joined.windows(3).any(|window| window == b"-b\x67" || window == b"--b"));
}

/// What an argument is.
#[derive(Clone, Copy, PartialEq)]
enum Word {
    /// A switch of ours, or a flag of ours with its value after `=`.
    Whole,
    /// A flag of ours that takes the next argument.
    Half,
    /// Claude's.
    Claudes,
}

/// What each argument is, read from the front: the argument behind a flag of claude's that needs a value is that value.
fn words(args: &[OsString]) -> Vec<Word> {
    let mut claudes_value = false;
    let word = |arg: &OsString| {
        if std::mem::take(&mut claudes_value) {
            return Word::Claudes;
        }
        claudes_value = needs_value(arg);
        let text = arg.to_string_lossy();
        let (name, value) = text.split_once('=').map_or((&*text, None), |(name, value)| (name, Some(value)));
        match FLAGS.iter().find(|flag| flag.name == name) {
            Some(flag) if flag.value.is_some() == value.is_some() => Word::Whole,
            Some(_) if value.is_none() => Word::Half,
            _ => Word::Claudes,
        }
    };
    args.iter().map(word).collect()
}

/// Our own flags with their values, and the remaining arguments. `None`: a usage error.
fn reference(args: &[OsString]) -> Option<(Flags, &[OsString])> {
    let front: usize = {
        let mut count = 0;
        loop {
            match args.get(count).map(|arg| words(std::slice::from_ref(arg))[0]) {
                Some(Word::Whole) => count += 1,
                Some(Word::Half) => count += 2,
                Some(Word::Claudes) | None => break count,
            }
        }
    };
    if front > args.len() {
        return None;
    }
    let rest = &args[front..];
    let mut back = rest.len();
    if call(rest) != Call::Word && !rest.iter().any(|arg| arg == "--") {
        let words = words(rest);
        loop {
            match &words[..back] {
                [.., Word::Half] => return None,
                [.., Word::Whole] => back -= 1,
                [.., Word::Half, Word::Claudes] => back -= 2,
                _ => break,
            }
        }
    }
    let mut flags = Flags::default();
    let mut ours = args[..front].iter().chain(&rest[back..]);
    while let Some(flag) = ours.next() {
        let text = flag.to_string_lossy().into_owned();
        let (name, joined) = text.split_once('=').map_or((&*text, None), |(name, value)| (name, Some(value)));
        match name {
            "--verify" => flags.verify = true,
            "--direct" => flags.direct = true,
            "--no-act" => flags.no_act = true,
            name => {
                let value = match joined {
                    Some(value) => value.to_owned(),
                    None => ours.next()?.to_string_lossy().into_owned(),
                };
                if value.is_empty() || value.starts_with('-') {
                    return None;
                }
                match name {
                    "--alias" => flags.alias = Some(value),
                    _ => flags.report = Some(When::parse(&value)?),
                }
            }
        }
    }
    Some((flags, &rest[..back]))
}

/// An overlay's argument is the one that takes effect. It replaces the one that took effect before, if there was one.
fn overlaid(args: &[OsString]) {
    let path = Path::new("/o/x.json");
    let rewritten = rewrite(args, path);
    let value = |args: &[OsString]| {
        argument_position(args).map(|position| match position {
            Position::Separate(at) => (at, args[at].clone()),
            Position::Joined(at) => (at, OsStr::from_bytes(&args[at].as_bytes()["--settings=".len()..]).to_owned()),
        })
    };
    let (at, now) = value(&rewritten).expect("an argument of ours");
    assert_eq!(now, path);
    match value(args) {
        Some((before, _)) => {
            assert_eq!((at, rewritten.len()), (before, args.len()));
            assert!((0..args.len()).all(|index| index == at || rewritten[index] == args[index]));
        }
        None => assert_eq!(rewritten[2..], *args),
    }
    assert_eq!(rewrite(&rewritten, path), rewritten, "once is enough");
}
