use std::path::PathBuf;

use super::flags::Flags;
use super::*;
use crate::config;
use crate::config::resolve::Directory;

const CONFIG: &str = r#"{
  "accounts": { "acme": { "endpoint": "https://act.example/m", "user": "u@example.com", "token": { "file": "/nowhere/token" } } },
  "aliases": { "billing": { "account": "acme", "id": "id-1", "provider_type": "P" } },
  "default": "billing"
}"#;

/// Calls `check` with what is known of a directory under a configuration.
fn under(text: &str, check: impl FnOnce(&Situation<'_>)) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let environment = Environment::from_iter([("ACT_CLAUDE_CONFIG", file.path().to_str().unwrap())]);
    let loaded = config::load(&environment);
    let (flags, directory) = (Flags::default(), PathBuf::from("/work"));
    let (args, place, layers) = (&[][..], Directory::default(), Vec::new());
    check(&Situation {
        flags: &flags,
        args,
        environment: &environment,
        loaded: &loaded,
        directory: &directory,
        place,
        layers,
    });
}

#[test]
fn an_alias_without_account_is_said_once_and_with_its_place() {
    under(&CONFIG.replace(r#""account": "acme""#, r#""account": "acne""#), |situation| {
        let Err(Plan::Plain { lines }) = choose(situation) else { panic!("no plain run") };
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert!(
            line.text.starts_with("no telemetry: ") && line.text.contains(":3:40: there is no account"),
            "{line:?}"
        );
    });
}

#[test]
fn the_route_of_a_session_is_that_of_its_choice() {
    under(CONFIG, |situation| {
        let choice = choose(situation).unwrap();
        let (whose, route) = (choice.whose(), choice.route());
        let Whose { account, alias, endpoint } = whose;
        assert_eq!((account, alias, endpoint), ("acme", "billing", "https://act.example/m"));
        assert_eq!((&*route.target.account, &*route.target.alias, &*route.target.endpoint), (account, alias, endpoint));
        assert_eq!(route.reason, choice.reason.to_string());
        assert_eq!((route.attributes, route.copies, route.stamp), (choice.attributes, choice.copies, choice.stamp));
    });
}

/// The configuration names a file that does not exist: only what `look` says counts.
#[test]
fn whether_there_is_a_token_is_asked_and_not_read() {
    let missing = || TokenError { what: "no token".to_owned(), fix: "act-claude act setup --account NAME".to_owned() };
    let file = TokenSource::File("/nowhere/token".into());
    under(CONFIG, |situation| {
        let found = decide(situation, |source| (*source == file).then_some(()).ok_or_else(missing));
        assert!(matches!(&found, Plan::Run { telemetry, .. } if telemetry.choice.name == "billing"), "{found:?}");
        let Plan::Plain { lines } = decide(situation, |_| Err(missing())) else { panic!("it has no token") };
        assert_eq!(lines[0].text, "billing: no telemetry: no token: act-claude act setup --account acme");
    });
    // Where there is no alias, no file is opened.
    under(&CONFIG.replace(r#""default": "billing""#, r#""default": null"#), |situation| {
        assert!(matches!(decide(situation, |_| unreachable!("not needed")), Plan::Plain { .. }));
    });
}
