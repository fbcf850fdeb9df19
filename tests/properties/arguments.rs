//! Command lines: own flags are taken out, everything else is unchanged.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use act_claude::claude::arguments::{Call, call, is_background};
use act_claude::claude::arguments::{Position, argument_position};
use act_claude::claude::overlay::rewrite;
use act_claude::config::when::When;
use act_claude::plan::flags::{FLAGS, Flags, Invocation, UsageError, parse};

const WORDS: [&str; 28] = [
    "--alias\n",
    "--alias\nbilling\n",
    "--verify\n",
    "--direct\n",
    "--no-act\n",
    "--report\njson\n",
    "--report\nalwys\n",
    "--report\n",
    "--alias=x\n",
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
            assert!(reference(args).is_none() && args.iter().any(|arg| arg == flag), "{args:?}");
        }
        (Err(error @ UsageError::BadValue { flag, value }), _) => {
            assert!(reference(args).is_none(), "{args:?}");
            let given = args.windows(2).any(|two| two[0] == *flag && two[1].to_string_lossy() == *value);
            assert!(given && When::parse(value).is_none() && !error.to_string().is_empty(), "{args:?}");
        }
        other => panic!("{other:?}"),
    }
    let joined: Vec<u8> = args.join(OsStr::new("\n")).into_vec();
    assert!(!is_background(args) || joined.windows(3).any(|window| window == b"-b\x67" || window == b"--b"));
}

/// Our own flags with their values, and the remaining arguments. `None`: a usage error.
fn reference(args: &[OsString]) -> Option<(Flags, &[OsString])> {
    let takes =
        |arg: &OsString| FLAGS.iter().find(|flag| arg == flag.name).map(|flag| usize::from(flag.value.is_some()));
    let front: usize = {
        let mut count = 0;
        while let Some(more) = args.get(count).and_then(takes) {
            count += 1 + more;
        }
        count
    };
    if front > args.len() {
        return None;
    }
    let rest = &args[front..];
    let mut back = rest.len();
    if call(rest) != Call::Word && !rest.iter().any(|arg| arg == "--") {
        loop {
            match &rest[..back] {
                [.., last] if takes(last) == Some(1) => return None,
                [.., last] if takes(last) == Some(0) => back -= 1,
                [.., flag, _] if takes(flag) == Some(1) => back -= 2,
                _ => break,
            }
        }
    }
    let mut flags = Flags::default();
    let mut ours = args[..front].iter().chain(&rest[back..]);
    while let Some(flag) = ours.next() {
        match flag.to_str()? {
            "--verify" => flags.verify = true,
            "--direct" => flags.direct = true,
            "--no-act" => flags.no_act = true,
            name => {
                let value = ours.next()?.to_string_lossy().into_owned();
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
