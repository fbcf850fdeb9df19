//! pnpm and yarn (versions 1 and 4), which `tests/run` installs into target/tools.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::npm::{Npm, run};
use crate::packages::{LATER, PLATFORM, VERSION, assert_becomes_the_program, is_native, is_program_of, npm, top};
use crate::support::fake_claude;
use crate::support::sandbox::Text;
use crate::support::skip;
use crate::upgrade::Session;

/// One of these package managers, with the surroundings that npm has; `None` where it is not installed.
pub fn with(manager: &str) -> Option<(Npm, PathBuf)> {
    let file = match manager {
        "pnpm" => "pnpm/bin/pnpm.cjs",
        "yarn" => "yarn/bin/yarn.js",
        "yarn 4" => "@yarnpkg/cli-dist/bin/yarn.js",
        _ => panic!("no such package manager: {manager}"),
    };
    let program = top().join("target/tools/node_modules").join(file);
    if !program.exists() {
        skip(&format!("{manager} is not installed (tests/run installs it)"));
        return None;
    }
    let mut npm_ = Npm::new()?;
    let home = npm_.sandbox.directory("pnpm home");
    npm_.sandbox.path_first(&home);
    for (name, value) in [
        ("PNPM_HOME", home.display().to_string()),
        ("YARN_CACHE_FOLDER", npm_.sandbox.root().join("yarn cache").display().to_string()),
    ] {
        npm_.sandbox.set(name, value);
    }
    Some((npm_, program))
}

/// A project with nothing in it.
fn project(npm_: &Npm) -> PathBuf {
    let app = npm_.sandbox.directory("work/my app");
    std::fs::write(app.join("package.json"), r#"{"private": true}"#).unwrap();
    app
}

/// `yarn global` with a folder below the home. For root it would be one of the system.
fn yarn_global(npm_: &Npm, yarn: &Path, verb: &str) -> Command {
    let mut command = npm_.sandbox.command(yarn);
    command.args(["global", verb, "--offline", "--prefix"]).arg(npm_.sandbox.home().join("yarn prefix"));
    command.arg("--global-folder").arg(npm_.sandbox.home().join("yarn/global"));
    command
}

/// yarn takes a file by a URL.
fn urls(version: &str) -> [String; 2] {
    npm(version).map(|file| format!("file:{}", file.display()))
}

#[test]
fn pnpm_globally() {
    let Some((mut npm_, pnpm)) = with("pnpm") else { return };
    let add =
        |npm_: &Npm, version| run(npm_.sandbox.command(&pnpm).args(["add", "-g", "--offline"]).args(npm(version)));
    add(&npm_, VERSION);
    let command = npm_.sandbox.home().join("pnpm home/act-claude");
    assert_becomes_the_program(&mut npm_.sandbox, &command);
    let said = run(npm_.sandbox.command(&command).args(["act", "uninstall", "--yes"]));
    let line = format!("the program: pnpm remove -g act-claude act-claude-{PLATFORM}\n");
    assert!(said.contains(&line), "{said}");

    let session = Session::start(&mut npm_.sandbox, &command);
    add(&npm_, LATER);
    session.ends_well(&npm_.sandbox);

    run(npm_.sandbox.command(&pnpm).args(["remove", "-g", "act-claude", &format!("act-claude-{PLATFORM}")]));
    assert!(!command.exists());
}

/// pnpm starts the command through a script of its own that has no mark: a link named `claude` to it is passed over once it has
/// come back.
#[test]
fn a21_pnpm_s_own_script_is_not_taken_for_claude() {
    let Some((mut npm_, pnpm)) = with("pnpm") else { return };
    run(npm_.sandbox.command(&pnpm).args(["add", "-g", "--offline"]).args(npm(VERSION)));
    fake_claude::install(&mut npm_.sandbox, "print started\nexit 21");
    // A copy, because pnpm's script finds the package from its own place.
    let home = npm_.sandbox.home().join("pnpm home");
    std::fs::copy(home.join("act-claude"), home.join("claude")).unwrap();
    npm_.sandbox.path_first(&home);
    for command in ["claude", "act-claude"] {
        let output = npm_.sandbox.command(home.join(command)).args(["-p", "hi"]).output().unwrap();
        assert_eq!((output.code(), output.out().as_str()), (21, "started\n"), "{command}: {}", output.err());
    }
}

#[test]
fn pnpm_in_a_project() {
    for scripts in [false, true] {
        let Some((mut npm_, pnpm)) = with("pnpm") else { return };
        let app = project(&npm_);
        let mut add = npm_.sandbox.command(&pnpm);
        add.args(["add", "--offline"]).args(npm(VERSION)).current_dir(&app);
        // Where its scripts may run, pnpm's own script still starts the command by a shell: it must stay a script.
        add.args(scripts.then_some("--config.dangerously-allow-all-builds=true"));
        run(&mut add);
        let command = app.join("node_modules/.bin/act-claude");
        assert_becomes_the_program(&mut npm_.sandbox, &command);
        assert!(!is_native(&app.join("node_modules/act-claude/bin/act-claude.bin")));
        run(npm_.sandbox.command("node").arg(app.join("node_modules/act-claude/install.js")));
        assert_becomes_the_program(&mut npm_.sandbox, &command);
    }
}

#[test]
fn yarn_in_a_project() {
    for scripts in [true, false] {
        let Some((mut npm_, yarn)) = with("yarn") else { return };
        let app = project(&npm_);
        let mut add = npm_.sandbox.command(&yarn);
        add.args(["add", "--offline"]).args(urls(VERSION)).current_dir(&app);
        add.args((!scripts).then_some("--ignore-scripts"));
        run(&mut add);
        let command = app.join("node_modules/.bin/act-claude");
        assert_eq!(is_native(&command), scripts);
        assert_becomes_the_program(&mut npm_.sandbox, &command);
    }
}

#[test]
fn yarn_globally() {
    let Some((mut npm_, yarn)) = with("yarn") else { return };
    run(yarn_global(&npm_, &yarn, "add").args(urls(VERSION)));
    let command = npm_.sandbox.home().join("yarn prefix/bin/act-claude");
    assert!(is_program_of(&command, VERSION));
    assert_becomes_the_program(&mut npm_.sandbox, &command);
    let said = run(npm_.sandbox.command(&command).args(["act", "uninstall", "--yes"]));
    assert!(said.contains(&format!("yarn global remove act-claude act-claude-{PLATFORM}\n")), "{said}");

    let session = Session::start(&mut npm_.sandbox, &command);
    run(yarn_global(&npm_, &yarn, "add").args(urls(LATER)));
    assert!(is_program_of(&command, LATER));
    session.ends_well(&npm_.sandbox);

    run(yarn_global(&npm_, &yarn, "remove").args(["act-claude", &format!("act-claude-{PLATFORM}")]));
    assert!(!command.exists());
}

/// `yarn act-claude` starts the command by its file, which yarn must not take for one for Node.
#[test]
fn yarn_4_in_a_project() {
    for (linker, scripts) in [("node-modules", "false"), ("node-modules", "true"), ("pnpm", "false"), ("pnp", "true")] {
        let Some((npm_, yarn)) = with("yarn 4") else { return };
        let app = project(&npm_);
        let settings = format!("nodeLinker: {linker}\nenableTelemetry: false\nenableScripts: {scripts}\n");
        std::fs::write(app.join(".yarnrc.yml"), settings).unwrap();
        std::fs::write(app.join("yarn.lock"), "").unwrap();
        let [main, program] = urls(VERSION);
        let packages = [format!("act-claude@{main}"), format!("act-claude-{PLATFORM}@{program}")];
        run(npm_.sandbox.command("node").arg(&yarn).arg("add").args(packages).current_dir(&app));
        let said =
            run(npm_.sandbox.command("node").arg(&yarn).args(["act-claude", "act", "--version"]).current_dir(&app));
        assert!(said.starts_with("act-claude "), "{linker}, scripts {scripts}: {said}");
    }
}
