//! Rules by repository in the commands: written, explained, listed, checked.

use serde_json::{Value, json};

use crate::support::act::{Act, accepted, refused};
use crate::support::sandbox::{Sandbox, Text};
use crate::support::{self, fake_claude};

/// A sandbox with two aliases, and a clone of acme's billing in `src/billing`.
fn sandbox(endpoint: &str, more: &Value) -> Sandbox {
    let sandbox = Sandbox::new();
    let alias = |id: &str| json!({"account": "acme", "id": id, "provider_type": "P"});
    let mut config = json!({
        "accounts": {"acme": sandbox.account(endpoint)},
        "aliases": {"billing": alias("id-billing"), "web": alias("id-web")},
    });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    sandbox.configure(&config);
    clone(&sandbox, "src/billing", "https://you:canary-pw@github.com/Acme/Billing.git");
    sandbox
}

fn clone(sandbox: &Sandbox, directory: &str, url: &str) {
    git(sandbox, directory, &["init", "-q", "-b", "feature/BILL-7"]);
    git(sandbox, directory, &["remote", "add", "origin", url]);
}

fn git(sandbox: &Sandbox, directory: &str, args: &[&str]) {
    let output = sandbox.command("git").args(args).current_dir(sandbox.directory(directory)).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", output.err());
}

/// Runs an `act` command in a directory: output, errors, exit status.
fn act(sandbox: &Sandbox, directory: &str, args: &[&str]) -> (String, String, i32) {
    let mut command = sandbox.act_claude(&[&["act"], args].concat());
    let output = command.current_dir(sandbox.directory(directory)).output().unwrap();
    let text = (output.out(), output.err());
    assert!(!format!("{text:?}").contains("canary-pw"), "{text:?}");
    (text.0, text.1, output.code())
}

const ENDPOINT: &str = "https://act.example/m";

#[test]
fn a_rule_for_all_clones_is_written_and_removed() {
    let sandbox = sandbox(ENDPOINT, &json!({}));
    let config = || -> Value { serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap() };
    let said = act(&sandbox, "src/billing/deep", &["use", "billing", "--clones"]);
    let file = "(~/.config/act-claude/config.json)\n";
    assert_eq!(said, (format!("every clone of github.com/Acme/Billing uses billing {file}"), String::new(), 0));
    assert_eq!(config()["repositories"], json!({"github.com/Acme/Billing": "billing"}));
    clone(&sandbox, "elsewhere", "git@github.com:acme/billing.git");
    let (out, _, code) = act(&sandbox, "elsewhere", &["which"]);
    assert_eq!(code, 0, "{out}");
    let words: String = out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.starts_with("* billing the alias of ~/elsewhere"), "{out}");
    let because = "because the rule \"github.com/Acme/Billing\" in ~/.config/act-claude/config.json:";
    assert!(words.contains(because) && words.contains("which matches github.com/acme/billing"), "{out}");
    // The same rule, from another clone of it.
    assert_eq!(act(&sandbox, "elsewhere", &["use", "web", "--clones"]).2, 0);
    assert_eq!(config()["repositories"], json!({"github.com/Acme/Billing": "web"}));
    let (list, _, _) = act(&sandbox, "elsewhere", &["aliases"]);
    assert!(list.contains("github.com/Acme/Billing"), "{list}");
    let json: Value = serde_json::from_str(&act(&sandbox, "elsewhere", &["aliases", "--json"]).0).unwrap();
    assert_eq!(json["aliases"][1]["repositories"], json!(["github.com/Acme/Billing"]));
    let (_, refused, code) = act(&sandbox, "elsewhere", &["aliases", "--remove", "web"]);
    assert!(code != 0 && refused.contains("web is used by github.com/Acme/Billing"), "{refused}");
    assert_eq!(act(&sandbox, "elsewhere", &["aliases", "--remove", "web", "--move-to", "billing"]).2, 0);
    assert_eq!(config()["repositories"], json!({"github.com/Acme/Billing": "billing"}));
    let (out, _, _) = act(&sandbox, "elsewhere", &["use", "--none", "--clones"]);
    assert!(out.starts_with("every clone of github.com/Acme/Billing has no telemetry"), "{out}");
    assert_eq!(act(&sandbox, "elsewhere", &["use", "--remove", "--clones"]).2, 0);
    assert_eq!(config().get("repositories").cloned().unwrap_or(json!({})), json!({}));
}

#[test]
fn what_is_no_clone_is_refused_with_what_to_do() {
    let sandbox = sandbox(ENDPOINT, &json!({}));
    git(&sandbox, "alone", &["init", "-q"]);
    git(&sandbox, "two", &["init", "-q"]);
    git(&sandbox, "two", &["remote", "add", "a", "https://h.example/a"]);
    git(&sandbox, "two", &["remote", "add", "b", "https://h.example/b"]);
    git(&sandbox, "names", &["init", "-q"]);
    git(&sandbox, "names", &["config", "remote.$(x).url", "https://h.example/a"]);
    git(&sandbox, "names", &["config", "remote.y.url", "https://h.example/a"]);
    clone(&sandbox, "helper", "ext::sh -c true");
    clone(&sandbox, "odd", "you:canary-pw@github.com/acme/x");
    clone(&sandbox, "all", "https://github.com/**");
    let instead = "without --clones, act-claude act use NAME sets the alias of this directory";
    for (directory, why) in [
        ("plain", format!("this directory is in no git repository: {instead}")),
        ("alone", format!("~/alone has no remote: {instead}")),
        ("two", "~/two has several remotes (a, b), and none is \"origin\": git remote rename a origin".to_owned()),
        (
            "names",
            "~/names has several remotes ($(x), y), and none is \"origin\": git remote rename '$(x)' origin".to_owned(),
        ),
        (
            "odd",
            format!(
                "~/odd has a remote, but it is not clear which part of its URL is the host, so a password may be in another \
                 one: {instead}"
            ),
        ),
        ("all", format!("no rule can name only github.com/**, because of its characters: {instead}")),
        ("helper", format!("~/helper has a remote, but its URL names a remote helper, not a host: {instead}")),
    ] {
        let (_, err, code) = act(&sandbox, directory, &["use", "billing", "--clones"]);
        let words = err.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!((words.as_str(), code), (format!("act-claude: nothing was changed: {why}").as_str(), 78));
    }
}

#[test]
fn which_says_why_no_rule_applies() {
    let sandbox = sandbox(ENDPOINT, &json!({"repositories": {"github.com/acme/other": "web"}, "default": "billing"}));
    let (out, _, code) = act(&sandbox, "src/billing", &["which"]);
    assert_eq!(code, 0);
    assert!(out.contains("no rule of \"repositories\" matches github.com/Acme/Billing"), "{out}");
}

#[test]
fn no_output_has_a_password_wherever_it_stands_in_a_remote() {
    let sandbox = sandbox(ENDPOINT, &json!({"repositories": {"github.com/acme/other": "web"}, "default": "billing"}));
    let mut config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
    config["aliases"]["billing"]["attribute"] = json!(["repository"]);
    sandbox.configure(&config);
    for (index, url) in [
        "you:canary-pw@github.com/acme/x",
        "you:canary-pw@github.com:acme/x",
        "https:/you:canary-pw@github.com/acme/x",
        "https://you:a/canary-pw@github.com/acme/x",
        "https://you%3Acanary-pw%40github.com/acme/x",
        "https://github.com/acme/x?token=canary-pw",
        "https://github.com/acme/x.git#canary-pw",
        "https::https://you:canary-pw@github.com/acme/x",
    ]
    .into_iter()
    .enumerate()
    {
        let directory = format!("odd{index}");
        clone(&sandbox, &directory, url);
        for args in
            [&["which"][..], &["which", "--env"], &["which", "--json", "--env"], &["doctor"], &["doctor", "--json"]]
        {
            // `act` looks for the password.
            let (out, err, _) = act(&sandbox, &directory, args);
            assert!(!out.is_empty(), "{args:?} {err}");
        }
        act(&sandbox, &directory, &["use", "billing", "--clones"]);
    }
}

#[test]
fn the_attributes_of_now_are_shown_and_checked() {
    let act_server = Act::start();
    let attribute = json!(["repository", "branch", "ticket", "person"]);
    let sandbox = sandbox(&act_server.endpoint(), &json!({"default": "billing", "person": "jane"}));
    let mut config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
    config["aliases"]["billing"]["attribute"] = attribute;
    sandbox.configure(&config);
    let (out, _, _) = act(&sandbox, "src/billing", &["which", "--env"]);
    let shown = "\nResource attributes of an export from here, as things are now:\nvcs.repository.name=Billing\n\
                 vcs.repository.url.full=https://github.com/Acme/Billing\nvcs.owner.name=Acme\nvcs.provider.name=github\n\
                 vcs.ref.head.name=feature/BILL-7\nticket.id=BILL-7\nenduser.id=jane\n";
    assert!(out.ends_with(shown), "{out}");
    let json: Value = serde_json::from_str(&act(&sandbox, "src/billing", &["which", "--env", "--json"]).0).unwrap();
    assert_eq!(json["attributes"]["ticket.id"], "BILL-7");
    // With --direct there is no relay that could add them.
    assert!(!act(&sandbox, "src/billing", &["which", "--env", "--direct"]).0.contains("ticket.id"));

    let step = |sandbox: &Sandbox| {
        let (out, err, code) = act(sandbox, "src/billing", &["check", "--json"]);
        let printed: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out} {err}"));
        let check = printed["checks"][0].clone();
        let steps = check["steps"].as_array().unwrap().clone();
        let step = steps.into_iter().find(|step| step["step"] == "attributes");
        (step.map(|step| step["state"].as_str().unwrap().to_owned()), check["fix"].clone(), code)
    };
    let has_ticket = |request: &crate::support::http::Request| request.json().to_string().contains("ticket.id");
    act_server.answer(accepted());
    assert_eq!(step(&sandbox).0.as_deref(), Some("ok"));
    act_server.answer_by(move |request| match has_ticket(request) {
        true => refused(400, "unknown attribute"),
        false => accepted(),
    });
    let (state, fix, code) = step(&sandbox);
    assert_eq!((state.as_deref(), code), (Some("stopped"), 65), "{fix}");
    assert_eq!(fix, "set \"attribution\": false at account acme");
    act_server.answer_by(|_| refused(400, "empty resourceMetrics in OTLP payload"));
    assert_eq!(step(&sandbox).0.as_deref(), Some("unclear"));
    config["accounts"]["acme"]["attribution"] = json!(false);
    sandbox.configure(&config);
    assert_eq!(step(&sandbox).0, None);
    assert!(!act(&sandbox, "src/billing", &["which", "--env"]).0.contains("ticket.id"));
}

#[test]
fn doctor_names_rules_that_never_apply() {
    let rules = json!({"github.com/acme/x": "web", "GitHub.com/Acme/X.git": "billing", "githib.com/acme/*": "web"});
    let sandbox = sandbox(ENDPOINT, &json!({"repositories": rules, "hosts": {"work": "github.com"}}));
    let (out, _, _) = act(&sandbox, "src/billing", &["doctor", "--json"]);
    let printed: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}"));
    let findings = printed["findings"].as_array().unwrap();
    let find = |id: &str| findings.iter().find(|finding| finding["id"] == id).unwrap_or_else(|| panic!("{id}: {out}"));
    assert_eq!(
        find("contradiction")["what"],
        "\"github.com/acme/x\" and \"GitHub.com/Acme/X.git\" are the same repositories"
    );
    assert_eq!(
        (&find("repository-host")["what"], &find("repository-host")["fix"]),
        (&json!("no clone is of githib.com"), &json!("did you mean github.com?"))
    );
    let none = find("no-alias");
    assert_eq!(
        none["what"],
        "this directory has no alias: no rule of \"repositories\" matches github.com/Acme/Billing"
    );
    assert!(
        none["fix"].as_str().unwrap().starts_with("give it, or every clone of it (--clones), one of your aliases: "),
        "{none}"
    );
}

/// Git's files that a launch in `directory` opens.
fn opened(sandbox: &Sandbox, directory: &str) -> Option<Vec<String>> {
    let log = sandbox.root().join("strace");
    let mut command = sandbox.command("strace");
    command.args(["-f", "-e", "trace=open,openat", "-o"]).arg(&log).arg(support::act_claude());
    let run = command.args(["--direct", "-p", "hi"]).current_dir(sandbox.directory(directory)).output();
    let Ok(output) = run else {
        support::skip("strace is not installed");
        return None;
    };
    assert_eq!((output.code(), output.out().as_str()), (0, "claude ran\n"), "{}", output.err());
    let text = std::fs::read_to_string(log).unwrap();
    let files = text.lines().filter_map(|line| line.split('"').nth(1));
    Some(files.filter(|file| file.contains("/.git/") || file.contains("gitconfig")).map(str::to_owned).collect())
}

#[test]
fn nothing_of_git_is_opened_where_no_rule_needs_it() {
    let rules = json!({"github.com/acme/billing": "billing"});
    let mut sandbox = sandbox(ENDPOINT, &json!({"directories": {"~/src": "web"}}));
    fake_claude::install(&mut sandbox, "print claude ran\nexit 0");
    let Some(files) = opened(&sandbox, "src/billing") else { return };
    assert_eq!(files, [""; 0], "there are no rules by repository");
    let mut config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
    config["repositories"] = rules;
    config["directories"] = json!({"~/src/billing": "web"});
    sandbox.configure(&config);
    assert_eq!(opened(&sandbox, "src/billing/deep").unwrap(), [""; 0], "a rule at the top decides before");
    config["directories"] = json!({"~/src": "web"});
    sandbox.configure(&config);
    let files = opened(&sandbox, "src/billing/deep").unwrap();
    assert!(files.iter().any(|file| file.ends_with("/src/billing/.git/config")), "{files:?}");
}
