//! The resolution table. Directories are real ones in a temporary directory, because identities, links and worktrees come from
//! the file system.

use std::path::{Path, PathBuf};

use super::*;
use crate::system::environment::Environment;

/// Two accounts: acme with billing and web, other with labs.
const ACCOUNTS: &str = r#"
  "accounts": {
    "acme": { "endpoint": "https://a.example/m", "user": "u", "token": { "env": "T" } },
    "other": { "endpoint": "https://o.example/m", "user": "u", "token": { "env": "T" } } },
  "aliases": {
    "billing": { "account": "acme", "id": "1", "provider_type": "P" },
    "web": { "account": "acme", "id": "2", "provider_type": "P" },
    "labs": { "account": "other", "id": "3", "provider_type": "P" } }"#;

pub(super) struct World {
    root: tempfile::TempDir,
}

impl World {
    pub(super) fn new() -> Self {
        Self { root: tempfile::tempdir().expect("a temporary directory") }
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(path)
    }

    pub(super) fn directory(&self, path: &str) -> &Self {
        std::fs::create_dir_all(self.path(path)).unwrap();
        self
    }

    pub(super) fn file(&self, path: &str, text: &str) -> &Self {
        self.directory(Path::new(path).parent().unwrap().to_str().unwrap());
        std::fs::write(self.path(path), text).unwrap();
        self
    }

    fn link(&self, link: &str, target: &str) -> &Self {
        std::os::unix::fs::symlink(self.path(target), self.path(link)).unwrap();
        self
    }

    pub(super) fn git(&self, directory: &str, args: &[&str]) -> &Self {
        self.directory(directory);
        let output = std::process::Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "protocol.file.allow=always"])
            .args(args)
            .current_dir(self.path(directory))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("HOME", self.root.path())
            .output()
            .expect("git");
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        self
    }

    /// `rest`: further configuration; `~` is the root of the test's directories.
    pub(super) fn config(&self, rest: &str) -> Config {
        self.file("config.json", &format!("{{{ACCOUNTS}{}{rest}}}", if rest.is_empty() { "" } else { "," }));
        let environment: Environment = [
            ("HOME", self.path("").as_os_str().to_owned()),
            ("ACT_CLAUDE_CONFIG", self.path("config.json").into_os_string()),
        ]
        .into_iter()
        .collect();
        let loaded = crate::config::load(&environment);
        assert_eq!(loaded.faults, []);
        loaded.config
    }

    fn resolve_from(&self, config: &Config, directory: &str, pwd: Option<&str>) -> Resolution {
        let environment: Environment = pwd.iter().map(|pwd| ("PWD", self.path(pwd))).collect();
        let directory = self.path(directory).canonicalize().unwrap();
        let place = Directory::of(&directory, &environment, config);
        resolve(Explicit::default(), config, &place).unwrap()
    }

    pub(super) fn resolve(&self, rest: &str, directory: &str) -> Resolution {
        self.resolve_from(&self.config(rest), directory, None)
    }
}

pub(super) fn answer(resolution: &Resolution) -> (Option<&str>, &'static str, usize) {
    (resolution.alias.as_deref(), resolution.reason.word(), resolution.passed_over.len())
}

const RULES: &str = r#""directories": { "~/w": "billing", "~/w/web": "web", "~/w/oss": null, "~/w/oss/ours": "labs" }"#;

#[test]
fn the_closest_rule_wins() {
    let world = World::new();
    for directory in ["w/web/deep/er", "w/website", "w/oss/theirs", "w/oss/ours", "elsewhere"] {
        world.directory(directory);
    }
    for (directory, expected) in [
        ("w", (Some("billing"), "directory", 0)),
        ("w/web/deep/er", (Some("web"), "directory", 0)),
        // A directory whose name only starts the same is another one.
        ("w/website", (Some("billing"), "directory", 0)),
        ("w/oss/theirs", (None, "null", 0)),
        ("w/oss/ours", (Some("labs"), "directory", 0)),
        ("elsewhere", (None, "no-rule", 0)),
    ] {
        assert_eq!(answer(&world.resolve(RULES, directory)), expected, "{directory}");
    }
    let with_default = format!("{RULES}, \"default\": \"web\"");
    assert_eq!(answer(&world.resolve(&with_default, "elsewhere")), (Some("web"), "default", 0));
    assert_eq!(answer(&world.resolve(&with_default, "w/oss/theirs")), (None, "null", 0));
    let null_default = format!("{RULES}, \"default\": null");
    assert_eq!(answer(&world.resolve(&null_default, "elsewhere")), (None, "null", 0));
}

#[test]
fn links_are_followed_on_both_sides() {
    let world = World::new();
    world.directory("data/repo/sub").directory("w").link("w/repo", "data/repo").link("alias", "data/repo");
    // The rule is written through a link, the directory is physical.
    assert_eq!(
        answer(&world.resolve(r#""directories": {"~/alias": "web"}"#, "data/repo/sub")),
        (Some("web"), "directory", 0)
    );
    // The rule is physical, the directory was entered through a link.
    assert_eq!(
        answer(&world.resolve(r#""directories": {"~/data": "web"}"#, "w/repo/sub")),
        (Some("web"), "directory", 0)
    );
    // The same directory under two names: the first entry takes precedence.
    let tie = r#""directories": {"~/alias": "web", "~/data/repo": "billing"}"#;
    assert_eq!(answer(&world.resolve(tie, "data/repo")), (Some("web"), "directory", 0));
}

#[test]
fn pwd_counts_only_where_nothing_physical_matched() {
    let world = World::new();
    world.directory("data/repo/sub").directory("w/other").link("w/repo", "data/repo");
    let config = world.config(r#""directories": {"~/w": "web"}"#);
    let through = world.resolve_from(&config, "data/repo/sub", Some("w/repo/sub"));
    assert_eq!(answer(&through), (Some("web"), "pwd", 0));
    // A wrong or missing $PWD is ignored.
    for lie in [Some("w/other"), Some("w/nowhere"), Some("w/repo/../repo/sub"), None] {
        assert_eq!(answer(&world.resolve_from(&config, "data/repo/sub", lie)), (None, "no-rule", 0), "{lie:?}");
    }
    let config = world.config(r#""directories": {"~/w": "web", "~/data": "billing"}"#);
    assert_eq!(
        answer(&world.resolve_from(&config, "data/repo/sub", Some("w/repo/sub"))),
        (Some("billing"), "directory", 0)
    );
}

#[test]
fn a_repository_chooses_within_its_account() {
    let world = World::new();
    world
        .file("w/repo/.act-claude.json", r#"{"alias": "web", "attributes": {"service": "s"}}"#)
        .file("w/repo/pkg/.act-claude.json", r#"{"alias": "billing"}"#)
        .file("w/repo/plain/.act-claude.json", r#"{"attributes": {"service": "p"}}"#)
        .file("w/foreign/.act-claude.json", r#"{"alias": "labs"}"#)
        .file("w/unknown/.act-claude.json", r#"{"alias": "wbe"}"#)
        .file("w/oss/.act-claude.json", r#"{"alias": "web"}"#)
        .file("w/oss/r/.act-claude.json", r#"{"alias": "web"}"#)
        .file("x/.act-claude.json", r#"{"alias": "web"}"#)
        .file("w/endpoint/.act-claude.json", r#"{"alias": "web", "endpoint": "https://evil.example"}"#)
        .file("w/type/.act-claude.json", r#"{"alias": "web", "attributes": {"providerType": "X"}}"#)
        .file("w/broken/.act-claude.json", r#"{"alias": "web",}"#)
        .link("w/linked", "x");
    world.directory("w/symlinked");
    world.link("w/symlinked/.act-claude.json", "w/repo/.act-claude.json");
    let rules = r#""directories": { "~/w": "billing", "~/w/oss": null }"#;
    for (directory, expected, word) in [
        ("w/repo", (Some("web"), "repository", 0), ""),
        // A nested package is closer.
        ("w/repo/pkg", (Some("billing"), "repository", 0), ""),
        ("w/repo/plain", (Some("web"), "repository", 0), ""),
        ("w/foreign", (Some("billing"), "directory", 1), "belongs to account \"other\""),
        ("w/unknown", (Some("billing"), "directory", 1), "no alias \"wbe\" on this machine; did you mean \"web\"?"),
        // On the same level the user's own entry takes precedence, and a null is never overridden.
        ("w/oss", (None, "null", 0), ""),
        ("w/oss/r", (None, "null", 1), "says no telemetry here"),
        // No rule of the user's gives the account.
        (
            "x",
            (None, "no-rule", 1),
            "none of your rules gives this directory an account, and 2 accounts are configured",
        ),
        (
            "w/endpoint",
            (Some("billing"), "directory", 1),
            ".act-claude.json:1:18: a repository may not set \"endpoint\"",
        ),
        ("w/type", (Some("billing"), "directory", 1), "a repository may not set providerType"),
        ("w/broken", (Some("billing"), "directory", 1), ":1:16: not valid JSON (trailing comma)"),
        ("w/symlinked", (Some("billing"), "directory", 1), "it is a symbolic link"),
    ] {
        let resolution = world.resolve(rules, directory);
        assert_eq!(answer(&resolution), expected, "{directory}");
        assert!(resolution.passed_over.join("\n").contains(word), "{directory}: {:?}", resolution.passed_over);
    }
    let attributes = |directory| world.resolve(rules, directory).attributes.get("service").cloned();
    assert_eq!(attributes("w/repo").as_deref(), Some("s"));
    assert_eq!(attributes("w/repo/plain").as_deref(), Some("p"), "the closest file's attributes");
    assert_eq!(attributes("w/oss/r"), None);
    // With a default the account is known everywhere.
    assert_eq!(answer(&world.resolve(r#""default": "billing""#, "x")), (Some("web"), "repository", 0));
    assert_eq!(answer(&world.resolve(r#""default": null"#, "x")), (None, "null", 1));
}

#[test]
fn with_one_account_a_repository_may_choose_any_alias() {
    let world = World::new();
    world.file("x/.act-claude.json", r#"{"alias": "web"}"#);
    let mut config = world.config("");
    config.accounts.remove("other");
    config.aliases.remove("labs");
    assert_eq!(answer(&world.resolve_from(&config, "x", None)), (Some("web"), "repository", 0));
}

#[test]
fn a_strangers_file_is_passed_over() {
    let file = RepositoryFile { path: "/w/.act-claude.json".into(), content: Content::Stranger { uid: 4242 } };
    let world = World::new();
    let config = world.config(r#""default": "billing""#);
    let level = Level { path: "/w".into(), identity: (9, 9), file: Some(file), tree: None };
    let place = Directory { levels: vec![level], ..Directory::default() };
    let resolution = resolve(Explicit::default(), &config, &place).unwrap();
    assert_eq!(answer(&resolution), (Some("billing"), "default", 1));
    assert!(resolution.passed_over[0].contains("belongs to user 4242"));
}

#[test]
fn a_repository_s_file_is_read_up_to_64_kib() {
    let world = World::new();
    let wish = r#"{"alias": "web"}"#;
    world.file("exact/.act-claude.json", &format!("{wish}{}", " ".repeat(64 * 1024 - wish.len())));
    world.file("more/.act-claude.json", &format!("{wish}{}", " ".repeat(64 * 1024 - wish.len() + 1)));
    let default = r#""default": "billing""#;
    assert_eq!(answer(&world.resolve(default, "exact")), (Some("web"), "repository", 0));
    let more = world.resolve(default, "more");
    assert_eq!(answer(&more), (Some("billing"), "default", 1));
    assert!(more.passed_over[0].contains("larger than 64 KiB"), "{:?}", more.passed_over);
}

#[test]
fn nothing_configured_is_told_from_no_rule() {
    let world = World::new();
    world.directory("x");
    let mut config = world.config("");
    assert_eq!(answer(&world.resolve_from(&config, "x", None)), (None, "no-rule", 0));
    config.aliases.clear();
    assert_eq!(answer(&world.resolve_from(&config, "x", None)), (None, "nothing-configured", 0));
}

#[test]
fn a_worktree_of_a_bare_repository_follows_the_repository() {
    let world = World::new();
    world.git("seed", &["init", "-q"]).git("seed", &["commit", "-q", "--allow-empty", "-m", "x"]);
    world.git("", &["clone", "-q", "--bare", "seed", "w/bare.git"]);
    world.git("w/bare.git", &["worktree", "add", "-q", &world.path("trees/three").display().to_string()]);
    let rules = r#""directories": { "~/w/bare.git": "billing" }"#;
    assert_eq!(answer(&world.resolve(rules, "trees/three")), (Some("billing"), "worktree", 0));
}

#[test]
fn a_linked_worktree_follows_its_main_checkout() {
    let world = World::new();
    world.git("w/repo", &["init", "-q"]).file("w/repo/.act-claude.json", r#"{"alias": "web"}"#);
    world.git("w/repo", &["commit", "-q", "--allow-empty", "-m", "x"]);
    world.git("w/repo", &["worktree", "add", "-q", &world.path("trees/one").display().to_string()]);
    world.directory("trees/one/sub");
    let rules = r#""directories": { "~/w": "billing" }"#;
    assert_eq!(answer(&world.resolve(rules, "trees/one/sub")), (Some("web"), "repository", 0));
    std::fs::remove_file(world.path("w/repo/.act-claude.json")).unwrap();
    assert_eq!(answer(&world.resolve(rules, "trees/one/sub")), (Some("billing"), "worktree", 0));
    let covered = format!("which covers {}, the main checkout", world.path("w/repo").display());
    let reason = world.resolve(rules, "trees/one/sub").reason.to_string();
    assert!(reason.contains(&covered), "{reason}");
    // Inside the directory of a rule, that rule takes precedence.
    let both = r#""directories": { "~/w": "billing", "~/trees": "labs" }"#;
    assert_eq!(answer(&world.resolve(both, "trees/one/sub")), (Some("labs"), "directory", 0));
    // A .git file that merely claims the link is not trusted.
    let claim = std::fs::read_to_string(world.path("trees/one/.git")).unwrap();
    world.file("trees/liar/.git", &claim);
    assert_eq!(answer(&world.resolve(rules, "trees/liar")), (None, "no-rule", 0));
    // Nor is a whole directory of git's, made up, that names the other checkout as its own.
    world.file("down/.git", "gitdir: ./x/worktrees/w\n").file("down/x/worktrees/w/gitdir", "../../../.git\n");
    world.file("down/x/worktrees/w/commondir", "../../../../w/repo/.git\n");
    for rules in [rules, r#""directories": { "~/w": "billing" }, "default": null"#] {
        assert_eq!(world.resolve(rules, "down").alias, None);
    }
}

#[test]
fn a_submodule_belongs_to_its_superproject() {
    let world = World::new();
    world.git("lib", &["init", "-q"]).git("lib", &["commit", "-q", "--allow-empty", "-m", "x"]);
    world.git("w/repo", &["init", "-q"]);
    world.git("w/repo", &["submodule", "--quiet", "add", &world.path("lib").display().to_string(), "sub"]);
    let rules = r#""directories": { "~/w": "billing", "~/lib": "labs" }"#;
    assert_eq!(answer(&world.resolve(rules, "w/repo/sub")), (Some("billing"), "directory", 0));
    world.git("w/repo", &["commit", "-q", "-m", "y"]);
    world.git("w/repo", &["worktree", "add", "-q", &world.path("trees/two").display().to_string()]);
    world.git("trees/two", &["submodule", "--quiet", "update", "--init"]);
    assert_eq!(answer(&world.resolve(rules, "trees/two/sub")), (Some("billing"), "worktree", 0));
}

#[test]
fn explicit_choices_come_first() {
    let world = World::new();
    let config = world.config(r#""default": "billing""#);
    let place = Directory::default();
    let both = Explicit { flag: Some("web"), variable: Some("labs"), request: None };
    let resolved = |explicit| resolve(explicit, &config, &place);
    assert_eq!(answer(&resolved(both).unwrap()), (Some("web"), "flag", 0));
    let variable = Explicit { variable: Some("labs"), ..Explicit::default() };
    assert_eq!(answer(&resolved(variable).unwrap()), (Some("labs"), "variable", 0));
    let error = resolved(Explicit { flag: Some("wep"), ..Explicit::default() }).unwrap_err();
    assert_eq!(error.message, "--alias: there is no alias \"wep\"; did you mean \"web\"? (known: billing, labs, web)");
}

#[test]
fn ten_thousand_rules() {
    let world = World::new();
    let rules: Vec<String> = (0..10_000).map(|n| format!("\"~/w/p{n}\": \"{}\"", ["web", "billing"][n % 2])).collect();
    let config = world.config(&format!("\"directories\": {{ {} }}", rules.join(", ")));
    world.directory("w/p9998/deep").directory("w/p9999").directory("w/q");
    assert_eq!(answer(&world.resolve_from(&config, "w/p9998/deep", None)), (Some("web"), "directory", 0));
    assert_eq!(answer(&world.resolve_from(&config, "w/p9999", None)), (Some("billing"), "directory", 0));
    assert_eq!(answer(&world.resolve_from(&config, "w/q", None)), (None, "no-rule", 0));
}
