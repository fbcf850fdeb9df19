use clap::Parser;

use super::dialogue::Answer;
use super::*;
use crate::commands::setup::facts::Facts;
use crate::config::Loaded;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

/// The decision for a command line without a configuration: the alias, the next question, or the missing flags.
fn decided(line: &str, can_ask: bool, answers: &[Answer]) -> Result<String, String> {
    let words = shell_words::split(line).unwrap();
    let args = Line::parse_from(std::iter::once("setup".to_owned()).chain(words)).args;
    let (environment, loaded) = ([("HOME", "/home/u")].into_iter().collect(), Loaded::default());
    let facts = Facts {
        args: &args,
        environment: &environment,
        loaded: &loaded,
        layers: Vec::new(),
        here: "/home/u/work".into(),
        alias_here: None,
        here_is_broad: false,
        repository: None,
        clones: None,
        claude_apart: None,
        source_fault: None,
        directories: args.directories.clone(),
        spec: None,
        found: None,
        stdin_token: None,
        keychain: None,
        keychain_is_reachable: false,
        with_token: Default::default(),
        user_file: "/home/u/.config/act-claude/config.json".into(),
        token_files: Vec::new(),
    };
    let mut dialogue = Dialogue::new(can_ask, answers).with_defaults(args.yes);
    match decide(&facts, &mut dialogue) {
        Ok(decision) => {
            let entries = decision.entries;
            let (account, alias) = (&entries.accounts[0], &entries.aliases[0]);
            Ok(format!("{} {} {} {:?} {}", account.name, account.user, alias.name, entries.directories, alias.id))
        }
        Err(Stop::Ask(request)) => Err(format!("? {}", request.ask)),
        Err(Stop::Usage(reasons) | Stop::Missing(reasons)) => Err(reasons.join("\n")),
        Err(stop) => Err(format!("{stop:?}")),
    }
}

#[test]
fn each_answer_leads_to_the_next_question() {
    let text = |text: &str| Answer::Text(text.to_owned());
    let answers = [
        (text("acme-A1B2C3"), "? Alias id:"),
        (text("id-1"), "? Provider type:"),
        (text("CUSTOM"), "? Name of the alias on this machine:"),
        (text("web"), "? Where to keep acme's API token:"),
        (Answer::Choice(0), "? API token of acme:"),
        (Answer::Secret("t0ken-of-acme".to_owned().into()), "? E-mail of the token's user:"),
        (text("dev@acme.com"), "? Where should web be used:"),
    ];
    assert_eq!(decided("", true, &[]).unwrap_err(), "? Metrics URL, or the account id:");
    let mut given = Vec::new();
    for (answer, next) in answers {
        given.push(answer);
        assert_eq!(decided("", true, &given).unwrap_err(), next);
    }
    given.push(Answer::Choice(0));
    assert_eq!(decided("", true, &given).unwrap(), "acme dev@acme.com web [(\"~/work\", Some(\"web\"))] id-1");
}

#[test]
fn flags_stand_for_answers() {
    let line =
        "--endpoint acme-A1B2C3 --id i --provider-type P --name n --token-env T --user d@acme.com --directory /w";
    assert_eq!(decided(line, false, &[]).unwrap(), "acme d@acme.com n [(\"/w\", Some(\"n\"))] i");
    let missing = decided("--yes", false, &[]).unwrap_err();
    for flag in ["--endpoint", "--id", "--provider-type", "--token-stdin", "--user"] {
        assert!(missing.lines().any(|line| line.starts_with(flag)), "{flag}: {missing}");
    }
    assert_eq!(
        decided("--endpoint http://act.example/m", false, &[]).unwrap_err().lines().count(),
        1,
        "a wrong value is named alone"
    );
}
