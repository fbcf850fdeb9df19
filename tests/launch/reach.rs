//! The scope of a configuration fault: a broken alias or rule switches telemetry off where it applies, never makes
//! another rule apply in its place, and does not affect the rest.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::act::Act;
use crate::support::fake_claude;
use crate::support::sandbox::{Sandbox, Text};
use crate::support::system;

struct World {
    act: Act,
    sandbox: Sandbox,
}

/// `~` has alias billing; private and broken directories are below it.
fn world(change: impl FnOnce(&mut Value)) -> World {
    let act = Act::start();
    let mut sandbox = Sandbox::new();
    fake_claude::install(&mut sandbox, "print hi\npost\nexit 7");
    let alias = |id: &str| json!({"account": "acme", "id": id, "provider_type": "P"});
    let mut config = json!({
        "accounts": {"acme": sandbox.account(&act.endpoint())},
        "aliases": {"billing": alias("id-1"), "web": alias("id-2")},
        "directories": {"~": "billing"}
    });
    change(&mut config);
    sandbox.configure(&config);
    for directory in ["work/deep", "private/deep", "private/ours", "else"] {
        sandbox.directory(directory);
    }
    World { act, sandbox }
}

impl World {
    fn run(&self, directory: &str, args: &[&str]) -> Output {
        self.sandbox.act_claude(args).current_dir(self.sandbox.home().join(directory)).output().unwrap()
    }

    /// The alias id under which a session in the directory is reported, `None` if it is not reported; and the message.
    fn reported(&self, directory: &str, args: &[&str]) -> (Option<String>, String) {
        let before = self.act.requests().len();
        let output = self.run(directory, &[args, &["-p", "hi"]].concat());
        assert_eq!((output.code(), output.out().as_str()), (7, "hi\n"), "{directory}: {}", output.err());
        let requests = self.act.requests();
        let id = requests.get(before).map(|request| request.header("x-alias-id").unwrap_or_default().to_owned());
        (id, output.err().replace(&self.sandbox.home().display().to_string(), "$HOME"))
    }

    #[track_caller]
    fn is_off(&self, directory: &str, args: &[&str], why: &str) {
        let (id, said) = self.reported(directory, args);
        assert_eq!(id, None, "{directory} {args:?}: {said}");
        assert!(said.contains("no telemetry: ") && said.contains(why), "{directory} {args:?}: {why}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        let which = self.run(directory, &["act", "which"]);
        if args.is_empty() {
            assert_eq!(which.code(), 1, "{}", which.out());
            assert!(which.out().contains(why), "{directory}: {why}: {}", which.out());
        }
    }

    #[track_caller]
    fn is_on(&self, directory: &str, args: &[&str], id: &str) {
        assert_eq!(self.reported(directory, args), (Some(id.to_owned()), String::new()), "{directory} {args:?}");
    }
}

#[test]
fn a_rule_with_an_alias_that_is_not_there() {
    let world = world(|config| config["directories"]["~/private"] = "wbe".into());
    let why = "there is no alias \"wbe\": did you mean \"web\"? (known: billing, web)";
    world.is_off("private", &[], why);
    world.is_off("private/deep", &[], why);
    world.is_on("work", &[], "id-1");
    world.is_on("private", &["--alias", "web"], "id-2");
    // Elsewhere `act which` still reports it.
    let which = world.run("work", &["act", "which"]);
    assert_eq!(which.code(), 0);
    assert!(which.out().contains(why), "{}", which.out());
    assert!(world.run("work", &["act", "doctor"]).out().contains("there is no alias \"wbe\""));
}

#[test]
fn a_rule_of_another_type_and_a_closer_one() {
    let world = world(|config| {
        config["directories"]["~/private"] = 5.into();
        config["directories"]["~/private/ours"] = "web".into();
    });
    world.is_off("private", &[], "a directory's alias must be a string, not 5");
    world.is_off("private/deep", &[], "a directory's alias must be a string, not 5");
    world.is_on("private/ours", &[], "id-2");
    world.is_on("work", &[], "id-1");
    // A repository's file below it does not change that.
    world.sandbox.write("private/deep/.act-claude.json", r#"{"alias": "web"}"#);
    world.is_off("private/deep", &[], "a directory's alias must be a string, not 5");
}

#[test]
fn a_broken_alias_and_whoever_uses_it() {
    for (name, broken, why) in [
        ("a member too many", json!({"account": "acme", "id": "i", "provider_type": "P", "x": 1}), "unknown key \"x\""),
        ("no id", json!({"account": "acme", "provider_type": "P"}), "alias \"web\" lacks \"id\""),
        (
            "an account that is not there",
            json!({"account": "acne", "id": "i", "provider_type": "P"}),
            "no account \"acne\"",
        ),
        ("no object", json!(null), "alias \"web\" must be an object"),
    ] {
        let world = world(|config| {
            config["aliases"]["web"] = broken;
            config["directories"]["~/private"] = "web".into();
        });
        world.is_off("private/deep", &[], why);
        world.is_off("work", &["--alias", "web"], why);
        world.is_on("work", &[], "id-1");
        world.sandbox.write("work/.act-claude.json", r#"{"alias": "web"}"#);
        world.is_off("work", &[], why);
        assert!(!name.is_empty());
    }
}

#[test]
fn a_broken_account_breaks_its_aliases() {
    let world = world(|config| {
        config["accounts"]["other"] = json!({"endpoint": "ftp://x", "user": "u", "token": {"env": "T"}});
        config["aliases"]["web"]["account"] = "other".into();
        config["directories"]["~/private"] = "web".into();
    });
    world.is_off("private", &[], "endpoint must start with https://");
    world.is_on("work", &[], "id-1");
}

#[test]
fn a_broken_default_applies_where_no_rule_does() {
    let world = world(|config| {
        config["default"] = "wbe".into();
        config["directories"] = json!({"~/work": "billing"});
    });
    world.is_on("work", &[], "id-1");
    world.is_off("else", &[], "there is no alias \"wbe\"");
}

/// If the directory of a broken rule can't be read, the rule might apply anywhere.
#[test]
fn a_rule_whose_directory_can_t_be_read() {
    for (key, why) in [
        ("private", "\"private\" is not an absolute path"),
        ("~joe/private", "only ~ and ~/… are expanded"),
        ("/x/../private", "holds .."),
    ] {
        for alias in [Value::Null, "web".into()] {
            let world = world(|config| {
                config["directories"][key] = alias;
                config["default"] = "web".into();
            });
            world.is_off("private", &[], why);
            world.is_off("work", &[], why);
            world.sandbox.write("work/.act-claude.json", r#"{"alias": "web"}"#);
            world.is_off("work", &[], why);
            // An explicit alias, for which no rule is needed.
            world.is_on("work", &["--alias", "web"], "id-2");
        }
    }
}

#[test]
fn patterns_and_trailing_blanks_are_named() {
    for (key, why, place) in [
        ("~/private*", "a rule names one directory, with all below: '*' has no meaning", ":16:5"),
        ("~/private/*", "'*' has no meaning", ":16:5"),
        ("~/private ", "ends with a blank", ":16:5"),
        ("~/private/\t", "ends with a blank", ":16:5"),
        (" ~/private", "is not an absolute path", ":16:5"),
    ] {
        let world = world(|config| {
            config["directories"][key] = Value::Null;
        });
        let (id, said) = world.reported("private/deep", &[]);
        assert_eq!(id, None, "{key}: {said}");
        assert!(said.contains(why), "{key}: {said}");
        assert!(said.contains("config.json:"), "{key}: {said}");
        assert!(place.starts_with(':'));
    }
    // A directory that really has this name is no pattern.
    let world = world(|config| config["directories"]["~/odd* "] = Value::Null);
    world.sandbox.directory("odd* ");
    world.is_on("work", &[], "id-1");
    let which = world.run("odd* ", &["act", "which", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&which.out()).unwrap()["reason"], "null");
    // Only directories below the part without a pattern are affected.
    let world = self::world(|config| config["directories"]["~/private/*/x"] = "web".into());
    world.is_on("work", &[], "id-1");
    world.is_off("private/deep", &[], "'*' has no meaning");
}

#[test]
fn two_spellings_of_one_directory() {
    let world = world(|config| {
        config["directories"] = json!({"~": "billing", "~/work": "web"});
    });
    let home = world.sandbox.home();
    std::os::unix::fs::symlink(home.join("work"), home.join("link")).unwrap();
    let rules = |rules: Value| {
        let mut config: Value = serde_json::from_slice(&std::fs::read(world.sandbox.config_file()).unwrap()).unwrap();
        config["directories"] = rules;
        world.sandbox.configure(&config);
    };
    let full = home.join("work").display().to_string();
    for other in [full.as_str(), "~/link", "~/work/./"] {
        rules(json!({"~/work": "web", other: "billing"}));
        // The first one applies, and both are named.
        assert_eq!(world.reported("work/deep", &[]).0.as_deref(), Some("id-2"), "{other}");
        let which = world.run("work/deep", &["act", "which"]).out();
        assert!(which.contains("names the same directory as the rule \"~/work\""), "{other}: {which}");
        assert!(which.contains(&format!("\"{}\"", other)), "{other}: {which}");
        let doctor = world.run("else", &["act", "doctor"]).out().replace('\n', " ");
        assert!(doctor.contains("same directory"), "{other}: {doctor}");
        // Two rules with the same alias are no contradiction.
        rules(json!({"~/work": "web", other: "web"}));
        assert!(!world.run("work", &["act", "which"]).out().contains("same directory"), "{other}");
        // If one of them says "no telemetry", there is none.
        for contradiction in [json!({"~/work": "web", other: null}), json!({other: null, "~/work": "web"})] {
            rules(contradiction);
            assert_eq!(world.reported("work/deep", &[]).0, None, "{other}");
        }
    }
}

#[test]
fn a_repository_s_file_beside_a_rule_is_mentioned() {
    let world = world(|config| config["directories"]["~/work"] = "billing".into());
    world.sandbox.write("work/.act-claude.json", r#"{"alias": "web"}"#);
    world.is_on("work/deep", &[], "id-1");
    let which = world.run("work/deep", &["act", "which"]).out();
    assert!(which.contains("~/work/.act-claude.json is ignored: the rule \"~/work\""), "{which}");
}

#[test]
fn a_moved_worktree_gets_a_hint() {
    let world = world(|config| config["directories"] = json!({"~/work": "billing"}));
    let git = |directory: &Path, args: &[&str]| {
        let mut command: Command = world.sandbox.command("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(args).current_dir(directory);
        assert!(command.output().unwrap().status.success(), "git {args:?}");
    };
    let (work, tree) = (world.sandbox.home().join("work"), world.sandbox.home().join("else/tree"));
    git(&work, &["init", "-q"]);
    git(&work, &["commit", "-q", "--allow-empty", "-m", "x"]);
    git(&work, &["worktree", "add", "-q", "../else/tree"]);
    let which = |directory: &str| world.run(directory, &["act", "which"]).out();
    assert!(which("else/tree").contains("alias      billing\n") && !which("else/tree").contains("git worktree repair"));
    let moved = world.sandbox.home().join("else/moved");
    std::fs::rename(&tree, &moved).unwrap();
    let hint = which("else/moved");
    assert!(hint.contains("alias      none") && hint.contains("git worktree repair"), "{hint}");
    // The fix that the message gives.
    git(&work, &["worktree", "repair", moved.to_str().unwrap()]);
    assert!(which("else/moved").contains("alias      billing\n"));
    // The main checkout was moved.
    let elsewhere = world.sandbox.home().join("private/work");
    std::fs::rename(&work, &elsewhere).unwrap();
    let hint = which("else/moved");
    assert!(hint.contains("alias      none") && hint.contains("git worktree repair"), "{hint}");
}

#[test]
fn required_refuses_only_affected_directories() {
    let world = world(|config| {
        config["directories"]["~/private"] = "wbe".into();
        config["required"] = true.into();
    });
    for directory in ["private", "private/deep"] {
        let output = world.run(directory, &["-p", "hi"]);
        assert_eq!((output.code(), output.out().as_str()), (78, ""), "{}", output.err());
        assert!(output.err().contains("there is no alias \"wbe\""), "{}", output.err());
        assert!(output.err().contains("telemetry is required by"), "{}", output.err());
        // The launcher form, too.
        let mut launcher = world.sandbox.act_claude(&[]);
        launcher.arg(world.sandbox.root().join("fake/claude")).args(["-p", "hi"]);
        let output = launcher.current_dir(world.sandbox.home().join(directory)).output().unwrap();
        assert_eq!(output.code(), 78, "{}", output.err());
    }
    world.is_on("work", &[], "id-1");
    let mut launcher = world.sandbox.act_claude(&[]);
    launcher.arg(world.sandbox.root().join("fake/claude")).args(["-p", "hi"]);
    assert_eq!(launcher.current_dir(world.sandbox.home().join("work")).output().unwrap().code(), 7);
}

/// The launcher form resolves the alias when the first export arrives, by the same rules.
#[test]
fn the_launcher_form() {
    let world = world(|config| config["directories"]["~/private"] = "wbe".into());
    let run = |directory: &str| {
        let mut launcher = world.sandbox.act_claude(&[]);
        launcher.arg(world.sandbox.root().join("fake/claude")).args(["-p", "hi"]);
        launcher.current_dir(world.sandbox.home().join(directory)).output().unwrap().code()
    };
    assert_eq!(run("work"), 7);
    world.act.wait_for(1);
    assert_eq!(run("private/deep"), 7);
    crate::support::process::end_relays(world.sandbox.root());
    assert_eq!(world.act.requests().len(), 1, "nothing of the private directory");
}

/// The system's entry of the same name does not replace a user's broken entry.
#[test]
fn the_system_s_entry_does_not_replace_a_broken_one() {
    let world = world(|config| {
        config["aliases"]["web"] = json!({"account": "acme", "id": 1, "provider_type": "P"});
        config["directories"]["~/private"] = "web".into();
    });
    let system = json!({
        "aliases": {"web": {"account": "acme", "id": "id-system", "provider_type": "P"}}
    });
    let mut command = world.sandbox.act_claude(&["-p", "hi"]);
    command.current_dir(world.sandbox.home().join("private"));
    let files = [("/etc/act-claude/config.json", &*system.to_string())];
    let Some(mut command) = system::with_files(&world.sandbox, &files, &command) else { return };
    let output = command.output().unwrap();
    assert_eq!(output.code(), 7, "{}", output.err());
    assert!(output.err().contains("id must be a string, not 1"), "{}", output.err());
    assert!(world.act.requests().is_empty());
}

/// With any other fault nothing of the configuration is used.
#[test]
fn other_faults_switch_telemetry_off_everywhere() {
    for change in [
        |config: &mut Value| config["acounts"] = json!({}),
        |config: &mut Value| config["redact"] = json!("x"),
        |config: &mut Value| config["directories"] = json!([]),
        |config: &mut Value| config["delivery"] = json!("x"),
    ] {
        let world = world(change);
        assert_eq!(world.reported("work", &[]).0, None);
        assert_eq!(world.reported("work", &["--alias", "web"]).0, None);
    }
}
