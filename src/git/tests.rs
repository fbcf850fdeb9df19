//! Repositories as real git sees them: the same remote, the same branch, the same commit.

use super::head::Head;
use super::world::World;

const CLONE: &str = "git init -q r; cd r; git remote add origin git@github.com:acme/billing.git;";

/// Scripts that make a repository in `w/r`, and the remote that git says it has (to see that git says something at all).
const REMOTES: &[(&str, &str)] = &[
    ("git init -q r", "none"),
    ("mkdir r", "fault"),
    ("git init -q r; cd r; git remote add origin https://github.com/acme/billing", "https://github.com/acme/billing"),
    ("git init -q r; cd r; git remote add up https://h/a; git remote add origin https://h/b", "https://h/b"),
    ("git init -q r; cd r; git remote add up https://h/a", "https://h/a"),
    ("git init -q r; cd r; git remote add a https://h/a; git remote add b https://h/b", "several a b"),
    (
        "git init -q r; cd r; git remote add origin https://h/a; git remote set-url --add origin https://h/b",
        "https://h/a",
    ),
    (
        "git init -q r; cd r; git remote add origin https://h/a; git remote set-url --push origin https://h/b",
        "https://h/a",
    ),
    (
        "git init -q r; cd r; git config remote.origin.url ''; git config --add remote.origin.url https://h/b",
        "https://h/b",
    ),
    (
        "git init -q r; cd r; printf '[Remote \"origin\"]\\n URL = \"https://h/a;b\" ; x\\n' >>.git/config",
        "https://h/a;b",
    ),
    ("git init -q r; cd r; printf '[remote.origin]\\nurl=https://h/a\\\\\\n/b' >>.git/config", "https://h/a/b"),
    (
        "git init -q r; cd r; printf '[remote \"or\\\\igin\"]\\r\\nurl = https://h/a # c\\r\\n' >>.git/config",
        "https://h/a",
    ),
    (
        "git init -q r; cd r; printf '[remote \"a\"]\\nurl = https://h/a\\n[remote \"a.b\"]\\nurl=x\\n' >>.git/config",
        "several a a.b",
    ),
    (
        "git init -q r; cd r; printf '[remote \"x\"]\\nfetch = y\\n[remote \"z\"]\\nurl = https://h/z' >>.git/config",
        "several x z",
    ),
    ("git init -q r; cd r; printf '[remote \"origin\"]\\nurl = \"x' >>.git/config", "fault"),
    ("git init -q r; cd r; printf '[remote origin]\\nurl = x' >>.git/config", "fault"),
    (
        "git init -q r; cd r; git remote add origin gh:acme/x; git config --global url.https://github.com/.insteadOf gh:",
        "https://github.com/acme/x",
    ),
    (
        "git init -q r; cd r; git remote add origin gh:acme/x; git config url.https://github.com/.insteadOf gh:",
        "https://github.com/acme/x",
    ),
    (
        "git init -q r; cd r; git remote add origin https://h/a/b; git config url.A/.insteadOf https://h/; git config url.B/.insteadOf https://h/a/",
        "B/b",
    ),
    (
        "git init -q r; cd r; git remote add origin https://h/a/b; git config url.A/.insteadOf https://h/; git config url.B/.insteadOf https://h/",
        "A/a/b",
    ),
    ("git init -q r; cd r; git remote add origin https://h/a; git config url.A/.insteadOf ''", "A/https://h/a"),
    (
        "git init -q r; cd r; git remote add origin https://h/a; git config url.A/.pushInsteadOf https://h/",
        "https://h/a",
    ),
    (
        "git init -q r; cd r; git remote add origin https://h/a; git config url.B:.insteadOf A:; git config url.A:.insteadOf https://h/",
        "A:a",
    ),
    ("git init -q r; cd r; git config --global remote.origin.url https://h/global", "https://h/global"),
    (
        "git init -q r; cd r; git config --global remote.up.url https://h/global; git remote add other https://h/o",
        "several other up",
    ),
    (
        "git init -q r; mkdir -p ../.config/git; printf '[remote \"origin\"]\\nurl=https://h/xdg\\n' >../.config/git/config",
        "https://h/xdg",
    ),
    (
        "git init -q r; cd r; printf '[remote \"origin\"]\\nurl=https://h/inc\\n' >.git/inc; git config include.path inc",
        "https://h/inc",
    ),
    (
        "git init -q r; cd r; printf '[remote \"origin\"]\\nurl=https://h/inc\\n' >$HOME/inc; git config include.path '~/inc'",
        "https://h/inc",
    ),
    ("git init -q r; cd r; git config include.path /nowhere/at/all; git remote add origin https://h/a", "https://h/a"),
    (
        "git init -q r; cd r; git remote add origin https://h/a; printf '[include]\\npath = ../.git/config\\n' >>.git/config",
        "fault",
    ),
    (
        "git init -q r; cd r; for n in 0 1 2 3 4 5 6 7 8; do printf \"[include]\\npath=i$((n+1))\\n\" >.git/i$n; done; printf '[remote \"origin\"]\\nurl=https://h/deep\\n' >.git/i9; git config include.path i0",
        "https://h/deep",
    ),
    (
        "git init -q r; cd r; for n in 0 1 2 3 4 5 6 7 8 9; do printf \"[include]\\npath=i$((n+1))\\n\" >.git/i$n; done; printf '[remote \"origin\"]\\nurl=https://h/deep\\n' >.git/i10; git config include.path i0",
        "fault",
    ),
    (
        "git init -q r; cd r; printf '[remote \"origin\"]\\nurl=https://h/w\\n' >$HOME/inc; git config --global 'includeIf.gitdir:~/w/.path' '~/inc'",
        "https://h/w",
    ),
    (
        "git init -q r; cd r; printf '[remote \"origin\"]\\nurl=https://h/w\\n' >$HOME/inc; git config --global 'includeIf.gitdir:~/x/.path' '~/inc'",
        "none",
    ),
    (
        "git init -q r; cd r; printf '[remote \"origin\"]\\nurl=https://h/w\\n' >$HOME/inc; git config --global 'includeIf.gitdir:r/.path' '~/inc'",
        "https://h/w",
    ),
    (
        "git init -q r; cd r; printf '[remote \"origin\"]\\nurl=https://h/w\\n' >$HOME/inc; git config --global 'includeIf.gitdir/i:**/R/.GIT.path' '~/inc'",
        "https://h/w",
    ),
    (
        "git init -q r; cd r; printf '[remote \"origin\"]\\nurl=https://h/w\\n' >$HOME/inc; git config --global 'includeIf.gitdir:./w/.path' inc",
        "https://h/w",
    ),
    (
        "git init -q r; cd r; printf '[remote \"origin\"]\\nurl=https://h/w\\n' >$HOME/inc; git config --global 'includeIf.gitdir:~/w/[qr]/.git.path' '~/inc'",
        "https://h/w",
    ),
    (
        "git init -q r; cd r; printf '[remote \"origin\"]\\nurl=https://h/b\\n' >.git/inc; git checkout -q -b feature/x; git config 'includeIf.onbranch:feature/.path' inc",
        "https://h/b",
    ),
    (
        "git init -q r; cd r; printf '[remote \"origin\"]\\nurl=https://h/b\\n' >.git/inc; git checkout -q -b feature/x; git config 'includeIf.onbranch:feat*.path' inc",
        "none",
    ),
    (
        "git init -q r; cd r; printf '[url \"R/\"]\\ninsteadOf=https://h/\\n' >.git/inc; git config 'includeIf.hasconfig:remote.*.url:https://h/**.path' inc; git remote add origin https://h/a/b",
        "R/a/b",
    ),
    (
        "git init -q r; cd r; printf '[url \"R/\"]\\ninsteadOf=https://h/\\n' >.git/inc; git config 'includeIf.hasconfig:remote.*.url:https://other/**.path' inc; git remote add origin https://h/a/b",
        "https://h/a/b",
    ),
    (
        "git init -q r; cd r; printf '[remote \"origin\"]\\nurl=https://h/b\\n' >.git/inc; git config 'includeIf.nonsense:x.path' inc",
        "none",
    ),
    (
        "git init -q m; cd m; git commit -q --allow-empty -m x; git remote add origin https://h/main; git worktree add -q ../r",
        "https://h/main",
    ),
    (
        "git init -q m; cd m; git commit -q --allow-empty -m x; git worktree add -q ../r; git config extensions.worktreeConfig true; cd ../r; git config --worktree remote.origin.url https://h/own",
        "https://h/own",
    ),
    (
        "git init -q m; cd m; git commit -q --allow-empty -m x; git remote add origin https://h/main; git worktree add -q ../r; printf '[remote \"origin\"]\\nurl=https://h/own\\n' >.git/worktrees/r/config.worktree",
        "https://h/main",
    ),
    (
        "git init -q s; cd s; git commit -q --allow-empty -m x; cd ..; git init -q --bare b; cd s; git push -q ../b HEAD:main; cd ../b; git config remote.origin.url https://h/bare; git worktree add -q ../r main",
        "https://h/bare",
    ),
    ("git init -q --bare r; cd r; git remote add origin https://h/bare", "https://h/bare"),
    (
        "mkdir r; cd r; git init -q --bare .bare; echo 'gitdir: ./.bare' >.git; git remote add origin https://h/dot",
        "https://h/dot",
    ),
    (
        "git init -q lib; cd lib; git commit -q --allow-empty -m x; cd ..; git init -q m; cd m; git remote add origin https://h/super; git submodule --quiet add $HOME/w/lib sub; git -C sub remote set-url origin https://h/sub; ln -s m/sub ../r",
        "https://h/sub",
    ),
    ("git init -q --separate-git-dir=store r; cd r; git remote add origin https://h/apart", "https://h/apart"),
    ("git init -q m; git -C m remote add origin https://h/linked; ln -s m r", "https://h/linked"),
    ("git init -q m; git -C m remote add origin https://h/linked; mkdir r; ln -s ../m/.git r/.git", "https://h/linked"),
    (
        "git init -q r; cd r; git remote add origin https://h/a; mv .git/config .git/real; ln -s real .git/config",
        "https://h/a",
    ),
    ("git init -q r; cd r; git remote add origin https://h/a; rm -r .git/refs", "fault"),
    (
        "git init -q m; cd m; git remote add origin https://h/outer; mkdir -p in/.git; ln -s m/in ../r",
        "https://h/outer",
    ),
    ("mkdir r; echo nonsense >r/.git", "fault"),
    ("mkdir r; echo 'gitdir: /nowhere' >r/.git", "fault"),
    ("git init -q r; cd r; git remote add origin ../up.git", "../up.git"),
    ("git init -q r; cd r; git config remote./x.url https://h/x; git remote add y https://h/y", "https://h/y"),
    ("git init -q r; cd r; : >.git/config", "none"),
    ("git init -q r; cd r; printf '[remote \"origin\"]\\nurl\\n' >>.git/config", "fault"),
    ("git init -q r; cd r; printf '[user][remote \"origin\"]url=https://h/a' >>.git/config", "https://h/a"),
    ("git init -q r; cd r; printf '[user] \\r [remote.x \"Y\"]\\nurl=https://h/a' >>.git/config", "https://h/a"),
    ("git init -q r; cd r; printf '[remote \"origin\"]url=https://h/a\\\\' >>.git/config", "https://h/a"),
    (
        "git init -q r; cd r; git remote add up https://h/a/b; printf '[remote \"origin\"]\\nurl=https://h/b\\n' >.git/inc; git config 'includeIf.hasconfig:remote.*.url:https://h/**.path' inc",
        "fault",
    ),
    (
        "git init -q lib; cd lib; git commit -q --allow-empty -m x; cd ..; git init -q mid; cd mid; git submodule --quiet add $HOME/w/lib deep; git commit -q -m x; cd ..; git init -q m; cd m; git submodule --quiet add $HOME/w/mid sub; git submodule --quiet update --init --recursive; git -C sub/deep remote set-url origin https://h/deep; ln -s m/sub/deep ../r",
        "https://h/deep",
    ),
    (
        "git init -q m; cd m; git init -q sub; cd sub; git commit -q --allow-empty -m x; git remote add origin https://h/sub; cd ..; git submodule --quiet add ./sub sub 2>/dev/null || :; git submodule --quiet absorbgitdirs; ln -s m/sub ../r",
        "https://h/sub",
    ),
    (
        "git init -q m; git -C m remote add origin https://h/out; git init -q m/in; git -C m/in remote add origin https://h/in; ln -s m/in r",
        "https://h/in",
    ),
    ("git init -q r; cd r; git remote add origin https://h/a; git config core.worktree $HOME/w", "https://h/a"),
    ("git init -q m; cd m; git remote add origin https://h/a; ln -s m/.git ../r", "https://h/a"),
    (
        "git init -q r; cd r; git remote add origin https://h/a; git checkout -q -b x; ln -sf refs/heads/x .git/HEAD",
        "https://h/a",
    ),
];

#[test]
fn a_remote_is_what_git_says() {
    let mut wrong = Vec::new();
    for (script, expected) in REMOTES {
        let world = World::new(&[]);
        world.script(script);
        let directory = world.path("w/r").canonicalize().unwrap();
        let directory = directory.strip_prefix(world.path("")).unwrap().to_str().unwrap().to_owned();
        let (by_git, ours) = (world.by_git(&directory), world.ours(&directory));
        if by_git != *expected || ours != by_git {
            wrong.push(format!("{script}\n   git: {by_git}  ours: {ours}  expected: {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), REMOTES.len(), wrong.join("\n"));
}

#[test]
fn the_environment_steers_as_it_steers_git() {
    let store = format!(
        "{CLONE} cd ..; mkdir elsewhere; git init -q --bare store; git -C store config remote.origin.url https://h/store"
    );
    let mut wrong = Vec::new();
    for (variables, directory, expected) in [
        (vec![("GIT_DIR", "$HOME/w/store")], "w/elsewhere", "https://h/store"),
        (vec![("GIT_DIR", "../store")], "w/r", "https://h/store"),
        (vec![("GIT_DIR", "../store"), ("GIT_WORK_TREE", "..")], "w/r", "https://h/store"),
        (vec![("GIT_DIR", "/nowhere")], "w/r", "fault"),
        (
            vec![
                ("GIT_CONFIG_COUNT", "1"),
                ("GIT_CONFIG_KEY_0", "url.X:.insteadOf"),
                ("GIT_CONFIG_VALUE_0", "git@github.com:"),
            ],
            "w/r",
            "X:acme/billing.git",
        ),
        (vec![("GIT_CONFIG_PARAMETERS", "'url.X:.insteadof'='git@github.com:'")], "w/r", "X:acme/billing.git"),
        (vec![("GIT_CONFIG_PARAMETERS", "'url.X:.insteadof=git@github.com:'")], "w/r", "X:acme/billing.git"),
        (vec![("GIT_CONFIG_GLOBAL", "$HOME/w/global")], "w/r", "G:acme/billing.git"),
        (vec![("GIT_CONFIG_GLOBAL", "/dev/null")], "w/r", "git@github.com:acme/billing.git"),
        (vec![("GIT_CONFIG_SYSTEM", "$HOME/w/global")], "w/r", "G:acme/billing.git"),
        (
            vec![("GIT_CONFIG_SYSTEM", "$HOME/w/global"), ("GIT_CONFIG_NOSYSTEM", "1")],
            "w/r",
            "git@github.com:acme/billing.git",
        ),
        (vec![("XDG_CONFIG_HOME", "$HOME/w/xdg")], "w/r", "D:acme/billing.git"),
        (vec![("HOME", "$HOME/link")], "w/r", "H:acme/billing.git"),
        (vec![("GIT_DIR", ".git")], "w/linked", "git@github.com:acme/billing.git"),
        (vec![("GIT_COMMON_DIR", "../store")], "w/r", "https://h/store"),
        (vec![("GIT_CEILING_DIRECTORIES", "$HOME/w/r")], "w/r/deep", "fault"),
        (vec![("GIT_CEILING_DIRECTORIES", "$HOME/w/r")], "w/r", "git@github.com:acme/billing.git"),
        (vec![("GIT_CEILING_DIRECTORIES", "$HOME/w/r/deep")], "w/r/deep", "git@github.com:acme/billing.git"),
        (vec![("GIT_CEILING_DIRECTORIES", "../r:$HOME/w")], "w/r/deep", "git@github.com:acme/billing.git"),
    ] {
        let world = World::new(&variables);
        world.script(&store).script("ln -s . ../link; mkdir r/deep; git -C r commit -q --allow-empty -m x; git -C r worktree add -q ../linked; if [ -L \"$HOME\" ]; then printf '[url \"H:\"]\\ninsteadOf=git@github.com:\\n' >inc; git config --global includeIf.gitdir:~/w/.path ~/w/inc; fi");
        world.script("printf '[url \"G:\"]\\ninsteadOf=git@github.com:\\n' >global; mkdir -p xdg/git; printf '[url \"D:\"]\\ninsteadOf=git@github.com:\\n' >xdg/git/config");
        let (by_git, ours) = (world.by_git(directory), world.ours(directory));
        if by_git != expected || ours != by_git {
            wrong.push(format!("{variables:?} {directory}\n   git: {by_git}  ours: {ours}  expected: {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn branch_and_commit_are_what_git_says() {
    for script in [
        "git init -q r",
        "git init -q -b feature/JIRA-1_x r",
        "git init -q r; cd r; git commit -q --allow-empty -m x",
        "git init -q r; cd r; git commit -q --allow-empty -m x; git checkout -q --detach",
        "git init -q r; cd r; git commit -q --allow-empty -m x; git checkout -q -b a/b; git pack-refs --all",
        "git init -q r; cd r; git commit -q --allow-empty -m x; git pack-refs --all; git commit -q --allow-empty -m y",
        "git init -q r; cd r; git commit -q --allow-empty -m x; git branch b/main; git pack-refs --all; git checkout -q b/main",
        "git init -q m; cd m; git commit -q --allow-empty -m x; git worktree add -q -b t ../r; cd ../r; git commit -q --allow-empty -m y",
        "git init -q m; cd m; git commit -q --allow-empty -m x; git worktree add -q --detach ../r",
        "git init -q --object-format=sha256 r; cd r; git commit -q --allow-empty -m x",
        "git init -q --bare r",
        "git init -q r; cd r; git commit -q --allow-empty -m x; git symbolic-ref refs/heads/link refs/heads/$(git branch --show-current); git symbolic-ref HEAD refs/heads/link",
        "git init -q r; cd r; git commit -q --allow-empty -m x; git tag v1; git checkout -q v1",
        "git init -q r; cd r; git commit -q --allow-empty -m x; git branch y; ln -sf refs/heads/y .git/HEAD",
    ] {
        let world = World::new(&[]);
        world.script(script);
        let head = Head::of(&world.checkout("w/r").unwrap().unwrap());
        let branch = world.git("w/r", &["symbolic-ref", "-q", "--no-recurse", "--short", "HEAD"]);
        let revision = world.git("w/r", &["rev-parse", "-q", "--verify", "HEAD"]);
        assert_eq!(head, Head { branch, revision }, "{script}");
    }
    let world = World::new(&[]);
    world.script("git init -q --ref-format=reftable r; cd r; git commit -q --allow-empty -m x");
    assert_eq!(Head::of(&world.checkout("w/r").unwrap().unwrap()), Head::default(), "it is not known, and not made up");
}

/// A key of 40 or 64 hexadecimal digits looks like a commit.
#[test]
fn a_link_to_another_file_gives_no_commit() {
    let key = "0123456789abcdef0123456789abcdef01234567";
    for (script, is_known) in [
        (
            "mv .git/refs ../elsewhere; mkdir ../deep; mv ../elsewhere ../deep/refs; ln -s ../../deep/refs .git/refs",
            true,
        ),
        ("rm .git/refs/heads/main; ln -s ~/key .git/refs/heads/main", false),
        ("rm .git/HEAD; ln -s ~/key .git/HEAD", false),
        ("rm -r .git/refs/heads; mkdir ~/keys; cp ~/key ~/keys/main; ln -s ~/keys .git/refs/heads", false),
        (
            "rm .git/refs/heads/main; sed 's|$| refs/heads/main|' ~/key >~/packed; ln -s ~/packed .git/packed-refs",
            false,
        ),
    ] {
        let world = World::new(&[]);
        std::fs::write(world.path("key"), format!("{key}\n")).unwrap();
        world.script(&format!("git init -q -b main r; cd r; git commit -q --allow-empty -m x; {script}"));
        let revision = Head::of(&world.checkout("w/r").unwrap().unwrap()).revision;
        assert_eq!(revision.is_some(), is_known, "{script}: {revision:?}");
        assert_ne!(revision.as_deref(), Some(key), "{script}");
    }
}

#[test]
fn hostile_repositories_neither_hang_nor_count() {
    for (script, why) in [
        ("rm .git/config; mkfifo .git/config", "it is not a regular file"),
        ("mkfifo .git/pipe; git config include.path pipe", "it is not a regular file"),
        ("git config include.path /dev/zero", "it is not a regular file"),
        (
            "git config include.path '~nobody-of-this-name/x'",
            "it includes ~nobody-of-this-name/x, and it is not known which file that is",
        ),
        ("rm .git/config; ln -s /dev/zero .git/config", "it is not a regular file"),
        ("head -c 5000000 /dev/zero >>.git/config", "it is larger than 4 MiB"),
        (
            "for n in 0 1 2 3 4 5 6; do for m in 1 2 3 4; do printf \"[include]\\npath=i$((n+1))\\n\"; done >.git/i$n; done; git config include.path i0",
            "git's configuration includes more than 500 files",
        ),
        (
            "(echo '[url]'; yes 'a=' | head -c 3000000) >.git/i; for n in $(seq 400); do printf '[include]\\npath=i\\n'; done >>.git/config",
            "git's configuration has more than 20,000 variables about remotes",
        ),
        (
            "u=$(head -c 1000000 /dev/zero | tr '\\0' a); printf '[includeIf \"hasconfig:remote.*.url:%s\"]\\npath=i\\n[remote \"x\"]url=%s' \"$u\" \"$u\" >>.git/config",
            "git's configuration has conditions that take too long",
        ),
    ] {
        let world = World::new(&[]);
        world.script(&format!("{CLONE} {script}"));
        let checkout = world.checkout("w/r").unwrap().unwrap();
        let error = super::remote(&checkout, &world.environment()).unwrap_err();
        assert_eq!((error.why.as_str(), error.is_a_strangers), (why, false), "{script}");
    }
    let world = World::new(&[]);
    world.script("mkdir r; mkfifo r/.git");
    assert!(world.checkout("w/r").is_none());
    world.script("rm r/.git; mkdir -p r/.git/objects r/.git/refs; mkfifo r/.git/HEAD");
    assert!(world.checkout("w/r").is_none());
    world.script("git init -q s; printf 'ref: refs/../../../etc/passwd\\n' >s/.git/HEAD");
    assert_eq!(Head::of(&world.checkout("w/s").unwrap().unwrap()), Head::default());
}

#[test]
fn a_strangers_repository_is_told_apart() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can make files of another user");
        return;
    }
    let world = World::new(&[]);
    world.script(CLONE);
    for path in ["w/r/.git/config", "w/r/.git"] {
        nix::unistd::chown(&world.path(path), Some(4242.into()), None).unwrap();
        let unusable = match world.checkout("w/r").unwrap() {
            Err(unusable) => unusable,
            Ok(checkout) => super::remote(&checkout, &world.environment()).unwrap_err(),
        };
        assert!(unusable.is_a_strangers, "{unusable:?}");
        assert_eq!(unusable.why, "it belongs to user 4242, neither to you nor to root");
    }
}
