use super::*;
use crate::config::TokenSource;

fn private(words: &[(&str, &'static str)], homes: &[&str]) -> Private {
    let words = words.iter().map(|(word, instead)| ((*word).to_owned(), *instead)).collect();
    Private::new(words, &homes.iter().map(PathBuf::from).collect::<Vec<_>>())
}

#[test]
fn what_is_private_is_replaced_and_nothing_else() {
    let words = [
        ("acme-A1B2C3", "(account id)"),
        ("acme", "(account)"),
        ("id-1", "(alias id)"),
        ("me", "(alias id)"),
        ("", "(token)"),
        ("you", "(proxy credential)"),
        ("token", "(account id)"),
        ("mail", "(account id)"),
    ];
    let private = private(&words, &["/home/you/", "/data/you"]);
    for (text, expected) in [
        ("nothing", "nothing"),
        ("https://h/v1/acme-A1B2C3/otlp", "https://h/v1/(account id)/otlp"),
        ("https://h/v1/ACME-a1b2c3/otlp", "https://h/v1/(account id)/otlp"),
        ("act setup --account acme, ~/c/acme.token", "act setup --account (account), ~/c/(account).token"),
        ("~/.acme/x of pacmen, Acme's", "~/.acme/x of pacmen, (account)'s"),
        ("id-1, id-12", "(alias id), (alias id)2"),
        ("alias me: some of them, me", "alias (alias id): some of them, (alias id)"),
        ("you@example.com's, BOOMI_TOKEN.a.b@c-d.example", "(e-mail)'s, (e-mail)"),
        ("jürgen.größe@münchen.example, 日本@例え.jp.", "(e-mail), (e-mail)."),
        ("http://u:p@proxy:3128", "http://(proxy credential)@proxy:3128"),
        ("http://u:p@w@proxy.example:3128", "http://(proxy credential)@proxy.example:3128"),
        ("Authorization=Basic Zm9v,X=y", "Authorization=Basic (token),X=y"),
        ("Bearer%20abc", "Bearer%20(token)"),
        ("BOOMI_TOKEN.dev:s3cret", "(token)"),
        ("/home/you/a in /home/you: /home/your/b /x/home/you/c", "~/a in ~: /home/your/b /x/home/(proxy credential)/c"),
        ("/data/you/work '/home/you/a b'", "~/work '~/a b'"),
        ("git@github", "git@github"),
        ("the token is you@example.com's", "the (account id) is (e-mail)'s"),
        ("https://h/metric-ingestion/v1/other-X/otlp", "https://h/metric-ingestion/v1/(account id)/otlp"),
        ("X-Alias-Id=other,Origin=x", "X-Alias-Id=(alias id),Origin=x"),
        ("runs under alias of id other-1", "runs under alias of id (alias id)"),
        ("the name 3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5e", "the name (id)"),
    ] {
        assert_eq!(private.removed(text), expected, "{text}");
    }
}

#[test]
fn a_finding_keeps_its_id() {
    let finding = Finding::new("token", "the token of token", "/home/you").fix("token").command("act x /home/you");
    let removed = private(&[("token", "(account)")], &["/home/you"]).removed_from(&finding);
    assert_eq!((removed.id, removed.what.as_str()), ("token", "the (account) of (account)"));
    assert_eq!((removed.place.as_str(), removed.command.as_deref()), ("~", Some("act x ~")));
}

#[test]
fn a_home_is_known_however_it_is_written() {
    let home =
        |bytes: &[u8]| PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes.to_vec()));
    for bytes in [&b"/home/o'neil"[..], b"/home/caf\xe9", b"/home/caf\xe9'x", "/home/größe".as_bytes(), b"/home/a b"]
    {
        let home = home(bytes);
        let private = Private::new(Vec::new(), std::slice::from_ref(&home));
        let file = home.join("f");
        for text in [file.display().to_string(), shell_word(&file), paths::to_text(&file).into_owned()] {
            let removed = private.removed(&text);
            assert!(removed.contains("~/f") && !removed.contains("home"), "{text}: {removed}");
        }
    }
}

#[test]
fn an_account_s_id_and_the_names_made_from_it() {
    let account = |endpoint: &str| Account {
        endpoint: endpoint.to_owned(),
        user: "dev".to_owned(),
        token: TokenSource::Env("T".to_owned()),
        api: Default::default(),
        attribution: true,
    };
    let words = |name: &str, endpoint: &str| {
        let mut words: Vec<String> = of_account(name, &account(endpoint)).into_iter().map(|(word, _)| word).collect();
        words.dedup();
        words
    };
    let url = "https://act.example/metric-ingestion/v1/Acme-A1B2C3/otlp/public/metrics";
    assert_eq!(words("acme-2", url), ["Acme-A1B2C3", "acme-2", "acme", "dev"]);
    assert_eq!(words("work", url), ["Acme-A1B2C3", "acme", "dev"]);
    assert_eq!(words("x", "https://act.example/tenant-1/v1/metrics"), ["tenant-1", "dev"]);
    let local = "http://127.0.0.1:4318/metric-ingestion/v1/local/otlp/public/metrics";
    assert_eq!(words("local", local), ["dev"], "it is the same on every machine");
    assert_eq!(words("x", "https://act.example/metric-ingestion/v1/local/otlp"), ["local", "local", "dev"][1..]);
}

#[test]
fn credentials_of_a_proxy() {
    for (proxy, expected) in [
        ("http://user-1:secret2@proxy:1", &["secret2", "user-1", "user-1:secret2"][..]),
        ("user:se@cret@proxy:1", &["se@cret", "user:se@cret"]),
        ("http://token-1@proxy", &["token-1"]),
        ("http://proxy:the@proxy", &["proxy:the"]),
        ("http://u:p%40ss1@proxy", &["p%40ss1", "p@ss1", "u:p%40ss1", "u:p@ss1"]),
        ("http://proxy:1", &[]),
    ] {
        assert_eq!(credentials(proxy), expected, "{proxy}");
    }
}
