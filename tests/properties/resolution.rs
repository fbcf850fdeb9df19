//! Resolution over generated directories: compared with another implementation, and with the statements of the
//! documentation.

use std::path::Path;

use act_claude::config;
use act_claude::config::Config;
use act_claude::config::resolve::{
    Content, Directory, Explicit, Level, RepositoryFile, Resolution, WorkingTree, Worktree, resolve,
};
use act_claude::git::address::Address;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// acme has two aliases, other has one.
const ALIASES: [(&str, &str); 3] = [("billing", "acme"), ("web", "acme"), ("labs", "other")];
const DEPTH: usize = 4;

/// The answer of a user's rule: an alias, or `null`.
type Answer = Option<&'static str>;

#[derive(Debug, Clone, Copy)]
enum File {
    /// It names an alias, which may be unknown on this machine.
    Alias(&'static str),
    /// It only adds an attribute.
    Attributes,
    Broken,
    Stranger,
}

/// The directory that a user's rule names.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Names {
    /// A level on the way from the directory up to the root.
    Level(usize),
    /// A level on the way from the main checkout up to the root.
    Main(usize),
    /// A directory of `$PWD`'s path that is not on the physical path: the number of its components.
    Spelled(usize),
    /// Another directory, or one that does not exist.
    Other(bool),
}

#[derive(Debug, Clone)]
struct World {
    rules: Vec<(Names, Answer)>,
    files: Vec<Option<File>>,
    /// The levels that are tops of working trees, each with the answer of the rule for its repository.
    trees: Vec<Option<Answer>>,
    /// The files of the main checkout, if there is one.
    main: Option<Vec<Option<File>>>,
    spelled: bool,
    default: Option<Answer>,
    /// Whether the second account is configured.
    two: bool,
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![1 => Just(None), 3 => select(&["billing", "web", "labs"][..]).prop_map(Some)]
}

fn file() -> impl Strategy<Value = File> {
    prop_oneof![
        6 => select(&["billing", "web", "labs", "unknown"][..]).prop_map(File::Alias),
        1 => Just(File::Attributes),
        1 => Just(File::Broken),
        1 => Just(File::Stranger),
    ]
}

fn names() -> impl Strategy<Value = Names> {
    prop_oneof![
        3 => (0..DEPTH).prop_map(Names::Level),
        2 => (0..DEPTH).prop_map(Names::Main),
        1 => (1..=DEPTH).prop_map(Names::Spelled),
        1 => any::<bool>().prop_map(Names::Other),
    ]
}

fn world() -> impl Strategy<Value = World> {
    let files = || vec(option::weighted(0.4, file()), DEPTH);
    let rules = vec((names(), answer()), 0..5);
    let trees = vec(option::weighted(0.3, answer()), DEPTH);
    (rules, files(), trees, option::of(files()), any::<bool>(), option::of(answer()), any::<bool>()).prop_map(
        |(rules, files, trees, main, spelled, default, two)| World { rules, files, trees, main, spelled, default, two },
    )
}

impl World {
    fn config(&self) -> Config {
        let quoted = |answer: Answer| answer.map_or("null".to_owned(), |alias| format!("\"{alias}\""));
        let account = |name: &str| format!(r#""{name}":{{"endpoint":"https://e/m","user":"u","token":{{"env":"T"}}}}"#);
        let accounts = if self.two { [account("acme"), account("other")].join(",") } else { account("acme") };
        let alias = |name: &str, account: &str| {
            format!(r#""{name}":{{"account":"{account}","id":"{name}","provider_type":"P"}}"#)
        };
        let aliases = ALIASES.map(|(name, account)| alias(name, if self.two { account } else { "acme" })).join(",");
        let rules = self.rules.iter().enumerate();
        let rules: Vec<String> = rules
            .map(|(index, (names, answer))| {
                // The same directory may be named twice, with different spellings through links.
                let path = match names {
                    Names::Spelled(count) => format!("{}{}", spelled(*count), "/".repeat(index)),
                    _ => format!("/rule/{index}"),
                };
                format!("\"{path}\":{}", quoted(*answer))
            })
            .collect();
        let default = self.default.map(|answer| format!(",\"default\":{}", quoted(answer))).unwrap_or_default();
        let trees = self.trees.iter().enumerate();
        let trees = trees.filter_map(|(index, answer)| Some(format!("\"h/r{index}\":{}", quoted((*answer)?))));
        let text = format!(
            "{{\"accounts\":{{{accounts}}},\"aliases\":{{{aliases}}},\"directories\":{{{}}},\"repositories\":{{{}}}{default}}}",
            rules.join(","),
            trees.collect::<Vec<_>>().join(",")
        );
        let (config, faults) = config::read(Path::new("/c.json"), text.into_bytes(), None);
        assert_eq!(faults, []);
        config
    }

    fn place(&self) -> Directory {
        let none = vec![None; DEPTH];
        let levels = |tree: u64, files: &[Option<File>], trees: &[Option<Answer>]| -> Vec<Level> {
            let level = |(index, file): (usize, &Option<File>)| {
                let path = Path::new("/t").join(tree.to_string()).join(index.to_string());
                let repository = || Address { host: "h".into(), path: vec![format!("r{index}")] };
                let top = trees[index].map(|_| WorkingTree::Remote(repository()));
                Level { identity: (tree, index as u64), file: file.map(|file| found(file, &path)), path, tree: top }
            };
            files.iter().enumerate().map(level).collect()
        };
        let identity = |names: &Names| match names {
            Names::Level(index) => Some((1, *index as u64)),
            Names::Main(index) => Some((2, *index as u64)),
            Names::Other(true) => Some((3, 0)),
            Names::Spelled(_) | Names::Other(false) => None,
        };
        Directory {
            levels: levels(1, &self.files, &self.trees),
            logical: self.spelled.then(|| spelled(DEPTH).into()),
            worktree: self
                .main
                .as_ref()
                .map(|files| Worktree { main: "/main".into(), levels: levels(2, files, &none) }),
            lost_worktree: None,
            rules: self.rules.iter().map(|(names, _)| identity(names)).collect(),
        }
    }

    fn resolution(&self) -> Resolution {
        resolve(Explicit::default(), &self.config(), &self.place()).expect("nothing is chosen explicitly")
    }

    fn without_files(&self) -> World {
        let none = vec![None; DEPTH];
        World { files: none.clone(), main: self.main.is_some().then_some(none), ..self.clone() }
    }

    fn account(&self, alias: &str) -> &'static str {
        let account = ALIASES.iter().find(|(name, _)| *name == alias).expect("known").1;
        if self.two { account } else { "acme" }
    }
}

fn spelled(count: usize) -> String {
    ["/l", "/a", "/b", "/c"][..count].concat()
}

fn found(file: File, level: &Path) -> RepositoryFile {
    let content = match file {
        File::Alias(name) => {
            Content::Text(format!(r#"{{"alias":"{name}","attributes":{{"from":"{}"}}}}"#, level.display()))
        }
        File::Attributes => Content::Text(format!(r#"{{"attributes":{{"from":"{}"}}}}"#, level.display())),
        File::Broken => Content::Text(r#"{"alias":"web","endpoint":"https://evil"}"#.into()),
        File::Stranger => Content::Stranger { uid: 4242 },
    };
    RepositoryFile { path: level.join(".act-claude.json"), content }
}

/// A possible answer.
enum Candidate {
    Own(Answer, &'static str),
    /// The rule for a repository.
    Remote(Answer),
    File(File, String),
}

/// All possible answers, the one with the highest precedence first; then selects the first permitted one.
fn reference(world: &World) -> (Answer, &'static str, Option<String>) {
    let own = |wanted: Names, word: &'static str| {
        // Of several spellings of one directory a `null` applies, otherwise the first one.
        let mut spellings = world.rules.iter().filter(|(names, _)| *names == wanted);
        let first = spellings.next();
        let rule =
            spellings.find(|(_, answer)| answer.is_none() && first.is_some_and(|first| first.1.is_some())).or(first);
        rule.map(|(_, answer)| Candidate::Own(*answer, if answer.is_none() { "null" } else { word }))
    };
    let names_main = world.main.is_some() && world.rules.iter().any(|(names, _)| *names == Names::Main(0));
    let way = |tree: usize, files: &[Option<File>], names: fn(usize) -> Names, word| -> Vec<Candidate> {
        let level = |(index, file): (usize, &Option<File>)| {
            let file = file.map(|file| Candidate::File(file, format!("/t/{tree}/{index}")));
            let top = world.trees[index].filter(|_| tree == 1 && !names_main).map(Candidate::Remote);
            own(names(index), word).into_iter().chain(file).chain(top).collect::<Vec<_>>()
        };
        files.iter().enumerate().flat_map(level).collect()
    };
    let mut all = way(1, &world.files, Names::Level, "directory");
    if world.spelled {
        all.extend((1..=DEPTH).rev().filter_map(|count| own(Names::Spelled(count), "pwd")));
    }
    if let Some(files) = &world.main {
        all.extend(way(2, files, Names::Main, "worktree"));
    }
    all.extend(world.default.map(|answer| Candidate::Own(answer, if answer.is_none() { "null" } else { "default" })));

    let rules = all.len() - usize::from(world.default.is_some());
    let mut attributes = None;
    for (index, candidate) in all.iter().enumerate() {
        match candidate {
            Candidate::Own(answer, word) => return (*answer, word, attributes.filter(|_| answer.is_some())),
            Candidate::Remote(answer) => {
                if applies(world, *answer, &all[index + 1..rules]) {
                    let word = if answer.is_none() { "null" } else { "remote" };
                    return (*answer, word, attributes.filter(|_| answer.is_some()));
                }
            }
            Candidate::File(File::Broken | File::Stranger, _) => {}
            Candidate::File(File::Attributes, level) => drop(attributes.get_or_insert(level.clone())),
            Candidate::File(File::Alias(name), level) => {
                let users = users_answer(world, &all[index..rules]).or(world.default);
                let may = match users {
                    _ if *name == "unknown" => false,
                    Some(None) => false,
                    Some(Some(users)) => world.account(users) == world.account(name),
                    None => !world.two,
                };
                if may {
                    return (Some(name), "repository", Some(attributes.unwrap_or(level.clone())));
                }
            }
        }
    }
    (None, "no-rule", None)
}

/// The answer of the first rule of the user's own that applies, without the default.
fn users_answer(world: &World, all: &[Candidate]) -> Option<Answer> {
    all.iter().enumerate().find_map(|(index, candidate)| match candidate {
        Candidate::Own(answer, _) => Some(*answer),
        Candidate::Remote(answer) => applies(world, *answer, &all[index + 1..]).then_some(*answer),
        Candidate::File(..) => None,
    })
}

/// Whether the rule for a repository applies below these candidates.
fn applies(world: &World, answer: Answer, above: &[Candidate]) -> bool {
    match (answer, users_answer(world, above)) {
        (None, _) | (_, None) => true,
        (Some(_), Some(None)) => false,
        (Some(own), Some(Some(above))) => world.account(own) == world.account(above),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_answer_equals_the_reference(world in world()) {
        let found = world.resolution();
        let (alias, word, from) = reference(&world);
        prop_assert_eq!(found.alias.as_deref(), alias);
        prop_assert_eq!(found.reason.word(), word);
        prop_assert_eq!(found.attributes.get("from"), from.as_ref());
    }

    #[test]
    fn an_unrelated_rule_changes_nothing(world in world(), at in 0..5_usize, exists: bool, answer in answer()) {
        let mut more = world.clone();
        more.rules.insert(at.min(world.rules.len()), (Names::Other(exists), answer));
        let (before, after) = (world.resolution(), more.resolution());
        prop_assert_eq!((before.alias, before.attributes, before.reason.word()), (after.alias, after.attributes, after.reason.word()));
    }

    #[test]
    fn the_directory_s_own_rule_wins(world in world(), answer in answer()) {
        let mut more = world;
        more.rules.retain(|(names, _)| *names != Names::Level(0));
        more.rules.push((Names::Level(0), answer));
        let found = more.resolution();
        prop_assert_eq!(found.alias.as_deref(), answer);
    }

    /// What an unpacked archive may bring: a `.git/config` of its own.
    #[test]
    fn no_remote_undoes_a_null_or_changes_the_account_of_a_directory(world in world()) {
        let bare = World { trees: vec![None; DEPTH], ..world.without_files() };
        let users = World { default: None, ..bare }.resolution();
        let found = World { default: None, ..world.without_files() }.resolution();
        match (&users.alias, &found.alias) {
            (Some(users), Some(found)) => prop_assert_eq!(world.account(users), world.account(found)),
            (None, Some(_)) => prop_assert_eq!(users.reason.word(), "no-rule"),
            (_, None) => {}
        }
    }

    #[test]
    fn no_repository_undoes_a_null_or_changes_the_account(world in world()) {
        let users = world.without_files().resolution();
        let found = world.resolution();
        match (users.reason.word(), &users.alias, &found.alias) {
            ("null", _, found) => prop_assert_eq!(found, &None),
            (_, Some(users), Some(found)) => prop_assert_eq!(world.account(users), world.account(found)),
            (_, Some(_), None) => prop_assert!(false, "a repository switched telemetry off"),
            (_, None, Some(_)) => prop_assert!(!world.two, "a repository chose the account"),
            (_, None, None) => {}
        }
    }
}
