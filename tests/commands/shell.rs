//! Shell integration in real shells: no output under strict flags, the alias, completion with TAB.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::pty::Pty;
use crate::support::sandbox::{Sandbox, Text};
use crate::support::{act_claude, fake_claude, program};

/// A shell, and how it is started and configured.
struct Shell {
    name: &'static str,
    /// Evaluates the integration.
    init: &'static str,
    /// A shell without the user's files, under strict flags. The last argument is the script.
    strict: &'static [&'static str],
    /// The rc file below the home.
    rc: &'static str,
    /// Starts it interactively.
    interactive: &'static [&'static str],
    /// Other configuration that a user may have: vi mode, direnv.
    prompt: &'static str,
    /// A completion for claude by another author: `--theirs`.
    besides: &'static str,
    /// A completion for claude that is not ours: `--theirs`.
    theirs: &'static str,
}

const SHELLS: [Shell; 3] = [
    Shell {
        name: "bash",
        init: r#"eval "$(act-claude act shell-init bash)""#,
        strict: &["bash", "--norc", "--noprofile", "-euc", "-o", "pipefail"],
        rc: "bashrc",
        interactive: &["bash", "--noprofile", "--rcfile", "bashrc", "-i"],
        prompt: "PROMPT_COMMAND='PS1=\"[$?] ready> \"'\nHISTFILE=\nbind 'set bell-style none'\nbind 'set enable-bracketed-paste off'\n",
        besides: "set -o vi\neval \"$(direnv hook bash)\"\n",
        theirs: "_theirs() { COMPREPLY=($(compgen -W \"--theirs $1:${#COMP_WORDS[@]}:$COMP_CWORD\" -- \"$2\")); }\ncomplete -F _theirs claude\n",
    },
    Shell {
        name: "zsh",
        init: r#"eval "$(act-claude act shell-init zsh)""#,
        strict: &["zsh", "-f", "-e", "-u", "-o", "pipefail", "-o", "warn_create_global", "-c"],
        rc: ".zshrc",
        interactive: &["zsh", "-d", "-i"],
        prompt: "setopt no_prompt_sp no_prompt_cr\nunset zle_bracketed_paste\nprecmd() { PROMPT=\"[$?] ready> \" }\n",
        besides: "bindkey -v\neval \"$(direnv hook zsh)\"\n",
        theirs: "_theirs() { compadd -- --theirs \"$words[1]:$#words:$CURRENT\" }\ncompdef _theirs claude\n",
    },
    Shell {
        name: "fish",
        init: "act-claude act shell-init fish | source",
        strict: &["fish", "--no-config", "-c"],
        rc: ".config/fish/config.fish",
        interactive: &["fish", "-i"],
        prompt: "set -g fish_greeting\nfunction fish_prompt; printf '[%s] ready> ' $status; end\nfunction fish_mode_prompt; end\n",
        besides: "fish_vi_key_bindings\ndirenv hook fish | source\n",
        theirs: "function _theirs; set -l words (commandline -cop); echo --theirs; echo $words[1]:(math (count $words) + 1):(count $words); end\ncomplete -c claude -f -a '(_theirs)'\n",
    },
];

/// Two aliases. act-claude and a claude that prints its arguments are on PATH.
fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::new();
    let account = sandbox.account("http://127.0.0.1:9/m");
    let alias = |id| json!({"account": "acme", "id": id, "provider_type": "P"});
    sandbox.configure(&json!({
        "accounts": {"acme": account},
        "aliases": {"billing": alias("id-billing"), "web": alias("id-web")}
    }));
    fake_claude::install(&mut sandbox, "print claude-ran");
    sandbox.path_first(act_claude().parent().expect("its directory"));
    sandbox
}

fn shells() -> impl Iterator<Item = &'static Shell> {
    SHELLS.iter().filter(|shell| program(shell.name).is_some())
}

#[test]
fn silent_and_repeatable_under_strict_flags() {
    let sandbox = sandbox();
    for shell in shells() {
        let status = if shell.name == "fish" { "$status" } else { "$?" };
        let script = format!("{0}\n{0}\necho end:{status}\n", shell.init);
        let mut command = sandbox.command(shell.strict[0]);
        let output = command.args(&shell.strict[1..]).arg(&script).output().unwrap();
        assert_eq!((output.out().as_str(), output.err().as_str()), ("end:0\n", ""), "{}", shell.name);
    }
}

/// An interactive shell with `rc`, waiting at its prompt.
fn interactive(sandbox: &Sandbox, shell: &Shell, rc: &str) -> Pty {
    sandbox.write(shell.rc, rc);
    let mut command = sandbox.command(shell.interactive[0]);
    command.args(&shell.interactive[1..]);
    let pty = Pty::start(command);
    pty.wait_for("ready> ");
    pty
}

/// Types `line`, and waits for `expected` on the screen.
fn type_and_expect(pty: &Pty, line: &str, expected: &str) {
    pty.send(line);
    pty.wait_for(expected);
}

/// Discards the typed line and waits for a new prompt.
fn next(pty: &Pty) {
    pty.send("\x15clear\r");
    let is_fresh = |screen: &str| screen.trim_end().lines().count() == 1 && screen.trim_end().ends_with("ready>");
    pty.wait_until("a fresh prompt", is_fresh);
}

#[test]
fn the_alias_and_its_completion() {
    for shell in shells() {
        let sandbox = sandbox();
        let completion = if shell.name == "zsh" { "autoload -Uz compinit; compinit -u -D\n" } else { "" };
        let rc = format!("{completion}{}{}\n", shell.prompt, shell.init);
        let pty = interactive(&sandbox, shell, &rc);
        // The same under either name.
        for name in ["claude", "act-claude"] {
            for (typed, completed) in [
                ("--alias w", "--alias web"),
                ("--alias web --ver", "--alias web --verify"),
                ("--report j", "--report json"),
                ("--alias=w", "--alias=web"),
                ("-p hi --alias=w", "-p hi --alias=web"),
                ("-p hi --report=j", "-p hi --report=json"),
                ("--alias=web --ver", "--alias=web --verify"),
                ("act which --alias=w", "act which --alias=web"),
                ("-p hi --no", "-p hi --no-act"),
                ("ac", "act"),
                ("act whi", "act which"),
                ("act check bil", "act check billing"),
            ] {
                type_and_expect(&pty, &format!("{name} {typed}\t"), &format!("{name} {completed}"));
                next(&pty);
            }
        }
        type_and_expect(&pty, "claude --no-act -p hi\r", "claude-ran");
        next(&pty);
        // Two candidates: only these are shown.
        sandbox.write("a-file", "");
        for name in ["claude", "act-claude"] {
            for typed in ["--alias ", "--alias="] {
                type_and_expect(&pty, &format!("{name} {typed}\t\t"), "billing");
                let screen = pty.wait_for("web");
                assert!(!screen.contains("a-file"), "{}: {screen}", shell.name);
                next(&pty);
            }
        }
    }
}

/// Without a completion for claude the shell completes files, under either name.
#[test]
fn files_where_claude_has_no_completion() {
    for shell in shells() {
        let sandbox = sandbox();
        sandbox.write("a dir/file", "");
        let completion = if shell.name == "zsh" { "autoload -Uz compinit; compinit -u -D\n" } else { "" };
        let pty = interactive(&sandbox, shell, &format!("{completion}{}{}\n", shell.prompt, shell.init));
        for name in ["claude", "act-claude"] {
            for (typed, completed) in [
                ("a\\ d", r"a\ dir/"),
                ("--alias web ~/a\\ d", r"--alias web ~/a\ dir/"),
                ("--add-dir 'a d", "--add-dir 'a dir"),
            ] {
                type_and_expect(&pty, &format!("{name} {typed}\t"), &format!("{name} {completed}"));
                next(&pty);
            }
        }
    }
}

/// bash 3.2, which macOS has, knows neither compopt nor BASH_ALIASES. A newer bash can do without both.
#[test]
fn bash_without_what_came_with_version_4() {
    let shell = &SHELLS[0];
    let Some(bash) = program(shell.name) else { return };
    let without = "enable -n compopt\nunset BASH_ALIASES\n";
    let sandbox = sandbox();
    let script = format!("{without}{0}\n{0}\necho end:$?\n", shell.init);
    let output = sandbox.command(&bash).args(&shell.strict[1..]).arg(&script).output().unwrap();
    assert_eq!((output.out().as_str(), output.err().as_str()), ("end:0\n", ""));
    sandbox.write("a dir/file", "");
    for theirs in ["", shell.theirs] {
        let pty = interactive(&sandbox, shell, &format!("{}{theirs}{without}{}\n", shell.prompt, shell.init));
        let last = if theirs.is_empty() { ("--add-dir a\\ d", r"--add-dir a\ dir/") } else { ("--the", "--theirs") };
        for name in ["claude", "act-claude"] {
            for (typed, completed) in [("--alias w", "--alias web"), ("act whi", "act which"), last] {
                type_and_expect(&pty, &format!("{name} {typed}\t"), &format!("{name} {completed}"));
                next(&pty);
            }
        }
        type_and_expect(&pty, "claude --no-act -p hi\r", "claude-ran");
    }
}

#[test]
fn completion_that_was_there_stays() {
    for shell in shells() {
        let sandbox = sandbox();
        let completion = if shell.name == "zsh" { "autoload -Uz compinit; compinit -u -D\n" } else { "" };
        let rc = format!("{completion}{}{}{}\n", shell.prompt, shell.theirs, shell.init);
        let pty = interactive(&sandbox, shell, &rc);
        type_and_expect(&pty, "claude --the\t", "claude --theirs");
        next(&pty);
        for name in ["claude", "act-claude"] {
            type_and_expect(&pty, &format!("{name} --the\t"), &format!("{name} --theirs"));
            next(&pty);
            type_and_expect(&pty, &format!("{name} --alias web --the\t"), &format!("{name} --alias web --theirs"));
            next(&pty);
        }
        // The completion by another author sees the line as if claude had been typed, without our own words.
        type_and_expect(&pty, "act-claude --alias web mcp cl\t", "act-claude --alias web mcp claude:3:");
        next(&pty);
        type_and_expect(&pty, "act-claude mcp 'cl\t", "act-claude mcp 'claude:3:");
        next(&pty);
        type_and_expect(&pty, "claude --verify --no\t", "claude --verify --no-act");
    }
}

#[test]
fn beside_vi_mode_direnv_and_a_prompt_that_shows_the_status() {
    let Some(direnv) = program("direnv") else { return };
    for shell in shells() {
        let sandbox = sandbox();
        sandbox.write("project/.envrc", "export FROM_ENVRC=loaded");
        let allowed = sandbox.command(&direnv).args(["allow", "project"]).status().unwrap();
        assert!(allowed.success());
        // With zsh this puts the integration before compinit.
        let completion = if shell.name == "zsh" { "autoload -Uz compinit; compinit -u -D\n" } else { "" };
        let rc = format!("{0}\n{1}{2}{completion}{0}\n", shell.init, shell.prompt, shell.besides);
        let pty = interactive(&sandbox, shell, &rc);
        pty.send("false\r");
        pty.wait_for("[1] ready> ");
        pty.send("cd project\r");
        pty.send("echo envrc-$FROM_ENVRC\r");
        pty.wait_for("envrc-loaded");
        pty.send("clear\r");
        type_and_expect(&pty, "claude --alias w\t", "claude --alias web");
        pty.send(" --no-act -p hi\r");
        pty.wait_for("claude-ran");
    }
}

#[test]
fn zsh_with_compinit_later_or_never_and_aliases_completed_as_commands() {
    let shell = &SHELLS[1];
    if program(shell.name).is_none() {
        return;
    }
    let compinit = "autoload -Uz compinit; compinit -u -D\n";
    for rc in [
        format!("{}\n{compinit}", shell.init),
        format!("setopt complete_aliases\n{compinit}{}{}\n", shell.theirs, shell.init),
        format!("setopt complete_aliases ksh_arrays sh_word_split nounset\n{}\n{compinit}", shell.init),
    ] {
        let sandbox = sandbox();
        let pty = interactive(&sandbox, shell, &format!("{rc}{}", shell.prompt));
        type_and_expect(&pty, "claude --alias w\t", "claude --alias web");
        next(&pty);
        if rc.contains("_theirs") {
            type_and_expect(&pty, "claude --the\t", "claude --theirs");
        }
    }
    let sandbox = sandbox();
    let pty = interactive(&sandbox, shell, &format!("{}{}\n", shell.prompt, shell.init));
    pty.send("claude --no-act\r");
    pty.wait_for("claude-ran");
    assert!(!pty.screen().contains("not found"), "{}", pty.screen());
}

#[test]
fn bash_completion_still_loads_what_claude_has() {
    let framework = Path::new("/usr/share/bash-completion/bash_completion");
    if program("bash").is_none() || !framework.is_file() {
        return crate::support::skip("bash-completion is not installed");
    }
    let shell = &SHELLS[0];
    for name in [Some("claude"), None] {
        let sandbox = sandbox();
        if name.is_some() {
            sandbox.write(".local/share/bash-completion/completions/claude", shell.theirs);
        }
        sandbox.write("a-file", "");
        let rc = format!("{}. {}\n{}\n", shell.prompt, framework.display(), shell.init);
        let pty = interactive(&sandbox, shell, &rc);
        if name.is_some() {
            type_and_expect(&pty, "claude --the\t", "claude --theirs");
        } else {
            type_and_expect(&pty, "claude a-fi\t", "claude a-file");
        }
        next(&pty);
        type_and_expect(&pty, "claude --alias w\t", "claude --alias web");
    }
}

#[test]
fn the_scripts_are_clean() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("shell");
    // Beside the two of each shell: what the packaging scripts have in common.
    let files = |extension: &str| {
        let mut files: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|own| own == extension));
        assert_eq!(files.len(), if extension == "bash" { 3 } else { 2 }, "{extension}");
        files
    };
    for (linter, extension) in [
        (&["shellcheck"][..], "bash"),
        (&["shfmt", "-i", "4", "-ci", "-d"], "bash"),
        (&["zsh", "-n"], "zsh"),
        (&["fish_indent", "--check"], "fish"),
    ] {
        if program(linter[0]).is_none() {
            continue;
        }
        for file in files(extension) {
            let output = Command::new(linter[0]).args(&linter[1..]).arg(&file).output().unwrap();
            assert_eq!(output.code(), 0, "{linter:?} {}: {}{}", file.display(), output.out(), output.err());
        }
    }
}
