use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::*;

const TOKEN: &str = "b57c3e10-8a41-4b6e-9d0c-5f1a2b3c4d5e";

fn encode(text: &str) -> String {
    STANDARD.encode(text)
}

/// Token, user and the beginning of the notes.
fn read(text: &str) -> Result<(String, String, String), Refused> {
    let short = |notes: &[&str]| notes.join("; ").chars().take(20).collect();
    Credential::read(text).map(|found| (found.token.to_string(), found.user.unwrap_or_default(), short(&found.notes)))
}

#[test]
fn what_was_meant_is_recognised() {
    let full = format!("BOOMI_TOKEN.dev@acme.com:{TOKEN}");
    let wrapped = |text: &str| {
        text.as_bytes().chunks(20).map(|line| std::str::from_utf8(line).unwrap()).collect::<Vec<_>>().join("\n")
    };
    let (whole, base64, pair) = ("a whole Authorization", "base64 of user and t", "user and token were ");
    let (variable, bearer) = ("a variable's assignm", "\"Bearer\" was left ou");
    let list = format!("Authorization=Basic {},X-Alias-Id=a-1,Origin=https://claude.ai", encode(&full));
    for (text, user, note) in [
        (TOKEN.to_owned(), "", ""),
        (TOKEN.to_uppercase(), "", ""),
        ("t-1".to_owned(), "", ""),
        (format!("{TOKEN}\r\n"), "", ""),
        (format!("'{TOKEN}'"), "", ""),
        (format!("“{TOKEN}”"), "", ""),
        (format!("`{TOKEN}`"), "", ""),
        (format!("  {TOKEN} "), "", ""),
        (format!("\u{feff}{TOKEN}\u{200b}"), "", ""),
        (format!("{TOKEN},"), "", ""),
        (full.clone(), "dev@acme.com", pair),
        (full.replace(USER_PREFIX, ""), "dev@acme.com", pair),
        (full.replace(USER_PREFIX, "Boomi_Token."), "dev@acme.com", pair),
        (format!("{USER_PREFIX}{full}"), "dev@acme.com", "the prefix BOOMI_TOK"),
        (format!("boomi_token.{full}"), "dev@acme.com", "the prefix BOOMI_TOK"),
        (format!("Basic {}", encode(&full)), "dev@acme.com", whole),
        (format!("BASIC  {}", encode(&full)), "dev@acme.com", whole),
        (format!("basic {}", encode(&full).trim_end_matches('=')), "dev@acme.com", whole),
        (format!("Basic%20{}", encode(&full).replace('=', "%3D")), "dev@acme.com", whole),
        (format!("Authorization: Basic {}\n", encode(&format!("{full}\n"))), "dev@acme.com", whole),
        (format!("authorization=Basic {}", encode(&full)), "dev@acme.com", whole),
        (format!("-H \"Authorization: Basic {}\"", encode(&full)), "dev@acme.com", whole),
        (list.clone(), "dev@acme.com", whole),
        (format!("OTEL_EXPORTER_OTLP_HEADERS={list}"), "dev@acme.com", whole),
        (format!("export OTEL_EXPORTER_OTLP_HEADERS=\"{list}\""), "dev@acme.com", whole),
        (format!("\"OTEL_EXPORTER_OTLP_HEADERS\": \"{list}\","), "dev@acme.com", whole),
        (format!("Basic {}", encode(&format!("{USER_PREFIX}{full}"))), "dev@acme.com", whole),
        (format!("Basic {}", wrapped(&encode(&full))), "dev@acme.com", whole),
        (encode(&full), "dev@acme.com", base64),
        (wrapped(&encode(&full)), "dev@acme.com", base64),
        (URL_SAFE_NO_PAD.encode(&full), "dev@acme.com", base64),
        (encode(&full.replace(USER_PREFIX, "")), "dev@acme.com", base64),
        (encode(TOKEN), "", base64),
        (format!("BOOMI_TOKEN.{TOKEN}:dev@acme.com"), "dev@acme.com", pair),
        (format!("{TOKEN}:dev@acme.com"), "dev@acme.com", pair),
        (format!("Bearer {TOKEN}"), "", bearer),
        (format!("Authorization: Bearer {TOKEN}"), "", bearer),
        (format!("export BOOMI_TOKEN={TOKEN}"), "", variable),
        (format!("export BOOMI_TOKEN='{TOKEN}';"), "", variable),
        (format!("API_KEY={TOKEN}"), "", variable),
        (format!("BOOMI_TOKEN = {TOKEN}"), "", variable),
        (format!("$env:BOOMI_TOKEN = \"{TOKEN}\""), "", variable),
        (format!("set -gx ACT_TOKEN {TOKEN}"), "", variable),
        (format!("\"token\": \"{TOKEN}\","), "", variable),
        (format!("{{\"token\": \"{TOKEN}\"}}"), "", variable),
        (format!("token: {TOKEN}"), "", variable),
        (format!("curl -u '{full}'"), "dev@acme.com", pair),
        (format!("TOKEN={full}"), "dev@acme.com", variable),
    ] {
        let found = read(&text).unwrap_or_else(|why| panic!("{text:?}: {why:?}"));
        let is_token = found.0.eq_ignore_ascii_case(TOKEN) || found.0 == text;
        assert!(is_token && found.1 == user && found.2 == note.get(..20).unwrap_or(note), "{text:?}: {found:?}");
    }
    // With the prefix, all behind the first ':' is the token.
    assert_eq!(read("BOOMI_TOKEN.dev@acme.com:a:b").unwrap().0, "a:b");
    // A credential in the token's place of another one.
    for inner in ["BOOMI_TOKEN.dev@acme.com", "Dev@acme.com"] {
        assert_eq!(read(&format!("BOOMI_TOKEN.dev@acme.com:{inner}:{TOKEN}")).unwrap().0, TOKEN);
    }
}

#[test]
fn what_is_no_token_is_refused_by_its_kind() {
    let long = "x1".repeat(LONGEST);
    let half = &TOKEN[..18];
    for (text, what) in [
        ("", "no token"),
        ("  \n", "no token"),
        ("\"\"", "no token"),
        ("dev@acme.com:", "no token after"),
        ("BOOMI_TOKEN.x", "BOOMI_TOKEN. without"),
        ("Basic", "\"Basic\" without"),
        ("Basic x", "\"Basic\" without"),
        ("Authorization: Basic !!", "\"Basic\" without"),
        ("Basic <base64 of user:token>", "\"Basic\" without"),
        (&format!("{half} {half}"), "white space inside"),
        (&format!("{half}\t{half}"), "white space inside"),
        (&format!("{half}\n{half}"), "more than one line"),
        (&format!("dev@acme.com\n{TOKEN}"), "more than one line"),
        (&format!("{TOKEN}\n{TOKEN}"), "more than one line"),
        (&format!("{half}\r\n{half}"), "more than one line"),
        ("****", "a masked token"),
        ("••••••••••", "a masked token"),
        ("b57c****4d5e", "a masked token"),
        ("b57c3e10…", "a masked token"),
        ("<your API token>", "a placeholder"),
        ("<token>", "a placeholder"),
        ("{token}", "a placeholder"),
        ("YOUR_API_TOKEN", "a placeholder"),
        ("none", "a placeholder"),
        ("N/A", "a placeholder"),
        ("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", "a placeholder"),
        ("00000000-0000-0000-0000-000000000000", "a placeholder"),
        ("3fa85f64-5717-4562-b3fc-2c963f66afa6", "the sample"),
        ("BOOMI_TOKEN.you@acme.com:<token>", "a placeholder"),
        ("$BOOMI_TOKEN", "a variable's name"),
        ("${BOOMI_TOKEN}", "a variable's name"),
        ("%BOOMI_TOKEN%", "a variable's name"),
        ("export BOOMI_TOKEN=$OTHER", "a variable's name"),
        ("ACT_TOKEN", "a variable's name"),
        ("MY_BOOMI_TOKEN", "a variable's name"),
        ("BOOMI_TOKEN.you@acme.com:ACT_TOKEN_2", "a variable's name"),
        ("$(pass act)", "a command"),
        ("$(act)", "a command"),
        ("dev@acme.com", "an e-mail address"),
        ("BOOMI_TOKEN.dev@acme.com", "BOOMI_TOKEN. without"),
        ("https://platform.boomi.com", "a URL"),
        ("op://vault/boomi/token", "a password manager"),
        ("~/.boomi-token", "the path of a file"),
        ("/home/dev/token", "the path of a file"),
        ("sk-ant-api03-abc", "another vendor's key"),
        ("ghp_abc123", "another vendor's key"),
        ("Bearer eyJhbGciOiJIUzI1NiJ9.e30.abc", "a JWT"),
        ("eyJhbGciOiJIUzI1NiJ9.e30.abc", "a JWT"),
        ("-----BEGIN PRIVATE KEY-----", "a private key"),
        ("X-Alias-Id=sekret", "a name and a value"),
        ("sekr:et", "a ':'"),
        ("{\"token\": \"sekret\", \"user\": \"x\"}", "several names"),
        (":sekret", "a ':'"),
        (&format!("BOOMI_TOKEN.{TOKEN}:sekret"), "no e-mail address"),
        ("sekret\u{1b}[31m", "not an API token"),
        ("sekr\u{0}et", "not an API token"),
        ("sekr\u{200b}et", "not an API token"),
        ("токен", "not an API token"),
        ("ｔｏｋｅｎ１", "not an API token"),
        (&long, "not an API token"),
    ] {
        let Err(refused) = Credential::read(text) else { panic!("{text:?} is taken") };
        assert!(refused.what.contains(what), "{text:?}: {refused:?}");
    }
}
