//! Rules by repository, with real repositories.

use super::tests::{World, answer};
use super::*;

const REMOTES: &str = r#""repositories": {
    "github.com/acme/*": "web", "github.com/acme/billing": "billing", "github.com/other/**": "labs",
    "gitlab.acme.com/**": null, "github.com/acme/x*": "billing", "github.com/acme/*y": "labs" }"#;

impl World {
    fn clone_of(&self, directory: &str, url: &str) -> &Self {
        self.git(directory, &["init", "-q"]).git(directory, &["remote", "add", "origin", url])
    }
}

#[test]
fn a_clone_has_the_alias_of_its_remote_wherever_it_is() {
    let world = World::new();
    world.clone_of("one", "git@github.com:acme/billing.git").clone_of("a/b/two", "https://github.com/Acme/Billing");
    world.clone_of("web", "https://github.com/acme/web").clone_of("none", "https://gitlab.acme.com/x/y");
    world
        .clone_of("else", "https://example.com/x")
        .git("alone", &["init", "-q"])
        .clone_of("tie", "https://github.com/acme/xy");
    world.directory("one/deep/er").directory("outside");
    for (directory, expected) in [
        ("one", (Some("billing"), "remote", 0)),
        ("one/deep/er", (Some("billing"), "remote", 0)),
        ("a/b/two", (Some("billing"), "remote", 0)),
        ("web", (Some("web"), "remote", 0)),
        ("none", (None, "null", 0)),
        ("else", (None, "no-rule", 0)),
        ("alone", (None, "no-rule", 0)),
        ("outside", (None, "no-rule", 0)),
        ("tie", (None, "broken", 0)),
    ] {
        assert_eq!(answer(&world.resolve(REMOTES, directory)), expected, "{directory}");
    }
    let with_default = format!("{REMOTES}, \"default\": \"labs\"");
    assert_eq!(answer(&world.resolve(&with_default, "one")), (Some("billing"), "remote", 0));
    assert_eq!(answer(&world.resolve(&with_default, "none")), (None, "null", 0));
    assert_eq!(answer(&world.resolve(&with_default, "else")), (Some("labs"), "default", 0));
    let tie = world.resolve(REMOTES, "tie").reason.to_string();
    let words = "\"github.com/acme/x*\" both match github.com/acme/xy, with different aliases, and neither is more specific: \
                 add a rule for \"github.com/acme/xy\" to \"repositories\"";
    assert!(tie.contains("\"github.com/acme/*y\"") || tie.contains(words), "{tie}");
    assert_eq!(world.resolve(REMOTES, "else").notes, ["no rule of \"repositories\" matches example.com/x"]);
}

#[test]
fn at_or_below_the_top_other_rules_win() {
    let world = World::new();
    world.clone_of("w/mono", "https://github.com/acme/billing").directory("w/mono/web/src").directory("w/mono/oss");
    let with = |directories: &str| format!("{REMOTES}, \"directories\": {{ {directories} }}");
    let top = with(r#""~/w/mono": "labs""#);
    assert_eq!(answer(&world.resolve(&top, "w/mono/web")), (Some("labs"), "directory", 0));
    let below = with(r#""~/w/mono/web": "web", "~/w/mono/oss": null"#);
    assert_eq!(answer(&world.resolve(&below, "w/mono/web/src")), (Some("web"), "directory", 0));
    assert_eq!(answer(&world.resolve(&below, "w/mono/oss")), (None, "null", 0));
    assert_eq!(answer(&world.resolve(&below, "w/mono")), (Some("billing"), "remote", 0));
    // The repository's own file chooses within the account of the rule.
    world.file("w/mono/web/.act-claude.json", r#"{"alias": "web"}"#);
    assert_eq!(answer(&world.resolve(REMOTES, "w/mono/web/src")), (Some("web"), "repository", 0));
    world.file("w/mono/.act-claude.json", r#"{"alias": "labs"}"#);
    assert_eq!(answer(&world.resolve(REMOTES, "w/mono")), (Some("billing"), "remote", 1));
    // A null of the rule is the user's own word.
    world.clone_of("n", "https://gitlab.acme.com/a/b").file("n/.act-claude.json", r#"{"alias": "web"}"#);
    assert_eq!(answer(&world.resolve(REMOTES, "n")), (None, "null", 1));
}

#[test]
fn a_directory_rule_above_limits_the_rule() {
    let world = World::new();
    world.clone_of("w/billing", "https://github.com/acme/billing").clone_of("w/labs", "https://github.com/other/x");
    world.clone_of("w/none", "https://gitlab.acme.com/a/b");
    let with = |directories: &str| format!("{REMOTES}, \"directories\": {{ {directories} }}");
    let web = with(r#""~/w": "web""#);
    assert_eq!(answer(&world.resolve(&web, "w/billing")), (Some("billing"), "remote", 0));
    let other = world.resolve(&web, "w/labs");
    assert_eq!(answer(&other), (Some("web"), "directory", 1));
    assert!(other.passed_over[0].contains("its alias belongs to account \"other\", but the rule \"~/w\""), "{other:?}");
    assert_eq!(answer(&world.resolve(&web, "w/none")), (None, "null", 0));
    // An unpacked archive with a .git/config of its own can't undo a null.
    let null = with(r#""~/w": null"#);
    assert_eq!(answer(&world.resolve(&null, "w/billing")), (None, "null", 1));
    // Nor can a repository within another one leave the account of the outer one's rule.
    world
        .clone_of("w/billing/vendor/labs", "https://github.com/other/x")
        .clone_of("w/billing/vendor/web", "https://github.com/acme/web");
    assert_eq!(answer(&world.resolve(REMOTES, "w/billing/vendor/labs")), (Some("billing"), "remote", 1));
    assert_eq!(answer(&world.resolve(REMOTES, "w/billing/vendor/web")), (Some("web"), "remote", 0));
    world.git("w/billing/vendor/none", &["init", "-q"]);
    assert_eq!(answer(&world.resolve(REMOTES, "w/billing/vendor/none")), (Some("billing"), "remote", 0));
}

#[test]
fn worktrees_and_submodules() {
    let world = World::new();
    world.clone_of("lib", "https://github.com/acme/web").git("lib", &["commit", "-q", "--allow-empty", "-m", "x"]);
    world
        .clone_of("w/main", "https://github.com/acme/billing")
        .git("w/main", &["commit", "-q", "--allow-empty", "-m", "x"]);
    world.git("w/main", &["worktree", "add", "-q", &world.path("trees/one").display().to_string()]);
    assert_eq!(answer(&world.resolve(REMOTES, "trees/one")), (Some("billing"), "remote", 0));
    // What the user says of the main checkout itself counts for its worktrees, too.
    let main = format!("{REMOTES}, \"directories\": {{ \"~/w/main\": \"labs\" }}");
    assert_eq!(answer(&world.resolve(&main, "w/main")), (Some("labs"), "directory", 0));
    assert_eq!(answer(&world.resolve(&main, "trees/one")), (Some("labs"), "worktree", 1));
    let above = format!("{REMOTES}, \"directories\": {{ \"~/w\": \"labs\" }}");
    assert_eq!(answer(&world.resolve(&above, "trees/one")), (Some("labs"), "worktree", 1));
    let lib = world.path("lib").display().to_string();
    world.git("w/main", &["submodule", "--quiet", "add", &lib, "sub"]);
    world.git("w/main/sub", &["remote", "set-url", "origin", "https://github.com/acme/web"]);
    assert_eq!(answer(&world.resolve(REMOTES, "w/main/sub")), (Some("web"), "remote", 0));
}

#[test]
fn what_cannot_be_read_is_not_absent() {
    let world = World::new();
    world.clone_of("w/r", "https://github.com/acme/billing").file("w/r/.git/config", "[remote \"origin\"\n");
    let broken = world.resolve(REMOTES, "w/r");
    assert_eq!(answer(&broken), (None, "broken", 0));
    let file = world.path("w/r/.git/config").display().to_string();
    let words = format!(
        "{file}: line 1 is not in git's syntax, so it is not known which rule of \"repositories\" applies: correct it, or: cd {} \
         && act-claude act use NAME",
        world.path("w/r").display()
    );
    assert_eq!(broken.reason.to_string(), words);
    // A rule for the directory itself does not need it.
    let own = format!("{REMOTES}, \"directories\": {{ \"~/w/r\": \"web\" }}");
    assert_eq!(answer(&world.resolve(&own, "w/r")), (Some("web"), "directory", 0));
    // And where there is no rule by repository, git's files are nobody's business.
    assert_eq!(answer(&world.resolve(r#""default": "web""#, "w/r")), (Some("web"), "default", 0));
}

#[test]
fn hosts_and_the_environment() {
    let world = World::new();
    world.clone_of("r", "git@github-work:acme/billing.git").directory("elsewhere");
    let hosts = format!("{REMOTES}, \"hosts\": {{ \"GitHub-Work\": \"github.com\" }}");
    assert_eq!(answer(&world.resolve(REMOTES, "r")), (None, "no-rule", 0));
    assert_eq!(answer(&world.resolve(&hosts, "r")), (Some("billing"), "remote", 0));
    let config = world.config(&hosts);
    let environment: Environment = [("GIT_DIR", world.path("r/.git"))].into_iter().collect();
    let place = Directory::of(&world.path("elsewhere"), &environment, &config);
    assert_eq!(answer(&resolve(Explicit::default(), &config, &place).unwrap()), (Some("billing"), "remote", 0));
    let ceiling: Environment = [("GIT_CEILING_DIRECTORIES", world.path("r"))].into_iter().collect();
    world.directory("r/sub");
    let place = Directory::of(&world.path("r/sub"), &ceiling, &config);
    assert_eq!(answer(&resolve(Explicit::default(), &config, &place).unwrap()), (None, "no-rule", 0));
}
