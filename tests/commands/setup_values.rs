//! What people paste into `act setup`: each value is understood or refused by its kind. None is stored that can't work, and no
//! message repeats a part of a secret.

use std::io::Write;
use std::process::{Output, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::act::Act;
use crate::support::sandbox::{Sandbox, Text, USER, snapshot};

const URL: &str = "https://agentcontroltower.boomi.com/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics";
const ID: &str = "3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5e";
/// The secret of this file: `T` in the table.
const SECRET: &str = "b57c3e10-44aa-4f0b-97c1-0a6d2e8f1b99";

/// The outcome of a pasted value.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    /// It is stored as this value.
    Stored(&'static str),
    /// It is refused, with these words.
    Refused(&'static str),
}
use Outcome::{Refused, Stored};

/// Tokens on standard input. `T` is the secret, `U` the user, `B` the base64 of `BOOMI_TOKEN.U:T`, `b` that of `T`. `Stored` names
/// nothing: it is always the secret.
const TOKENS: [(&str, Outcome); 86] = [
    ("T", Stored("")),
    ("T\r\n", Stored("")),
    ("\u{feff}T\n", Stored("")),
    ("  T\t\n", Stored("")),
    ("\u{200b}T\u{a0}", Stored("")),
    ("\"T\"", Stored("")),
    ("'T',", Stored("")),
    ("“T”", Stored("")),
    ("`T`", Stored("")),
    ("Bearer T", Stored("")),
    ("Authorization: Bearer T", Stored("")),
    ("export BOOMI_TOKEN=T", Stored("")),
    ("export BOOMI_TOKEN=\"T\";", Stored("")),
    ("API_KEY=T", Stored("")),
    ("ACT_TOKEN = 'T'", Stored("")),
    ("$env:BOOMI_TOKEN = \"T\"", Stored("")),
    ("setx BOOMI_TOKEN T", Stored("")),
    ("set -gx BOOMI_TOKEN T", Stored("")),
    ("token: T", Stored("")),
    ("  \"token\": \"T\",", Stored("")),
    ("BOOMI_TOKEN.U:T", Stored("")),
    ("boomi_token.U:T", Stored("")),
    ("BOOMI_TOKEN.BOOMI_TOKEN.U:T", Stored("")),
    ("U:T", Stored("")),
    ("T:U", Stored("")),
    ("BOOMI_TOKEN.T:U", Stored("")),
    ("curl -u 'BOOMI_TOKEN.U:T'", Stored("")),
    ("B", Stored("")),
    ("b", Stored("")),
    ("Basic B", Stored("")),
    ("BASIC B", Stored("")),
    ("Basic%20B", Stored("")),
    ("Authorization: Basic B", Stored("")),
    ("-H 'Authorization: Basic B'", Stored("")),
    ("Authorization=Basic B,X-Alias-Id=a-1,Origin=https://claude.ai", Stored("")),
    ("OTEL_EXPORTER_OTLP_HEADERS=Authorization=Basic B,X-Alias-Id=a-1", Stored("")),
    ("\"OTEL_EXPORTER_OTLP_HEADERS\": \"Authorization=Basic B,X-Alias-Id=a-1\",", Stored("")),
    ("", Refused("no token")),
    (" \n", Refused("no token")),
    ("U:", Refused("no token after the user")),
    ("T T", Refused("white space inside the token")),
    ("T\u{a0}T", Refused("white space inside the token")),
    ("T\nT", Refused("more than one line")),
    ("U\r\nT", Refused("more than one line")),
    ("****", Refused("a masked token")),
    ("••••••••", Refused("a masked token")),
    ("b57c3e10-44aa-****", Refused("a masked token")),
    ("<your API token>", Refused("a placeholder instead of the token")),
    ("BOOMI_TOKEN.U:<token>", Refused("a placeholder instead of the token")),
    ("YOUR_API_TOKEN", Refused("a placeholder instead of the token")),
    ("none", Refused("a placeholder instead of the token")),
    ("3fa85f64-5717-4562-b3fc-2c963f66afa6", Refused("the sample of a documentation tool")),
    ("${BOOMI_TOKEN}", Refused("a variable's name instead of its value")),
    ("$(pass act)", Refused("a command")),
    ("U", Refused("an e-mail address, which is the user")),
    ("BOOMI_TOKEN.T", Refused("BOOMI_TOKEN. without user:token")),
    ("T:T", Refused("a ':', but no e-mail address")),
    ("https://platform.boomi.com/T", Refused("a URL")),
    ("~/T", Refused("the path of a file")),
    ("sk-ant-T", Refused("another vendor's key")),
    ("Bearer eyJT.T.T", Refused("a JWT, which expires soon")),
    ("X-Alias-Id=T", Refused("a name and a value")),
    ("Basic T", Refused("\"Basic\" without base64")),
    ("T\u{1b}[2J", Refused("something that is not an API token")),
    ("T\u{200b}T", Refused("something that is not an API token")),
    ("BOOMI_TOKEN.U%:T", Stored("")),
    ("token=token=T", Stored("")),
    ("BOOMI_USER=U BOOMI_TOKEN=T", Refused("a name and a value that is not called a token")),
    ("token=token=token=token=token=token=token=token=token=T", Refused("several names and values")),
    ("token=token=", Refused("a name without a value")),
    ("BOOMI_TOKEN=", Refused("a name without a value")),
    ("export PATH=/usr/bin", Refused("a name and a value that is not called a token")),
    ("export BOOMI_USER=you", Refused("a name and a value that is not called a token")),
    ("export X=T", Stored("")),
    ("/usr/bin/pass", Refused("the path of a file")),
    ("U|T", Refused("an API token with something else beside it")),
    ("U;T", Refused("an API token with something else beside it")),
    ("U|t-1", Refused("an API token with something else beside it")),
    ("#T", Refused("a comment, which begins with '#'")),
    ("T#x", Refused("an API token with something else beside it")),
    (">T", Refused("a placeholder instead of the token")),
    ("\"T", Refused("a quote without its partner")),
    ("T'", Refused("a quote without its partner")),
    ("\"T'", Refused("a quote without its partner")),
    ("token=\"T", Refused("a quote without its partner")),
    ("“T", Refused("something that is not an API token")),
];

/// Values of flags.
const VALUES: [(&str, &str, Outcome); 145] = [
    ("--user", "dev@acme.com", Stored("dev@acme.com")),
    ("--user", "BOOMI_TOKEN.dev@acme.com", Stored("dev@acme.com")),
    ("--user", "boomi_token.dev@acme.com", Stored("dev@acme.com")),
    ("--user", "mailto:dev@acme.com", Stored("dev@acme.com")),
    ("--user", "Dev <dev@acme.com>", Stored("dev@acme.com")),
    ("--user", "BOOMI_USER=\"dev@acme.com\"", Stored("dev@acme.com")),
    ("--user", "dev%40acme.com", Stored("dev@acme.com")),
    ("--user", "dev@acme.com:T", Refused("holds ':'")),
    ("--user", "T", Refused("looks like a token or an id")),
    ("--user", "acme-A1B2C3", Refused("that is the account id")),
    ("--user", "<e-mail>", Refused("is a placeholder")),
    ("--user", "none", Refused("is a placeholder")),
    ("--user", "dev@acme", Refused("is not a complete e-mail address")),
    ("--user", "a@acme.com,b@acme.com", Refused("holds ','")),
    ("--user", "dév@acme.com", Refused("holds 'é'")),
    ("--user", "https://platform.boomi.com", Refused("is a URL")),
    ("--user", "", Refused("has no name")),
    ("--id", "3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5e", Stored(ID)),
    ("--id", "X-Alias-Id: 3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5e", Stored(ID)),
    ("--id", "extAccountAliasId=3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5e", Stored(ID)),
    ("--id", "  \"extAccountAliasId\": \"3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5e\",", Stored(ID)),
    ("--id", "{3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5e}", Stored(ID)),
    ("--id", "\u{feff}3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5e\r\n", Stored(ID)),
    ("--id", "0012345", Stored("0012345")),
    ("--id", "uuid", Refused("is a placeholder")),
    ("--id", "EXT-ACCOUNT-ALIAS-ID", Refused("is a placeholder")),
    ("--id", "%ALIAS%", Refused("is a placeholder")),
    ("--id", "{extAccountAliasId}", Refused("is a placeholder")),
    ("--id", "n/a", Refused("is a placeholder")),
    ("--id", "3fa85f64-5717-4562-b3fc-2c963f66afa6", Refused("is the sample")),
    ("--id", "00000000-0000-0000-0000-000000000000", Refused("is a placeholder")),
    ("--id", "3f2c7e10-…", Refused("is masked")),
    ("--id", "acme-A1B2C3", Refused("is the account id")),
    ("--id", "dev@acme.com", Refused("is an e-mail address")),
    ("--id", "providerType=X", Refused("is the value of something else")),
    ("--id", "a b", Refused("holds ' '")),
    ("--id", "a\u{1b}b", Refused("holds '\\u{1b}'")),
    ("--id", "псевдонім", Refused("holds 'п'")),
    ("--id", "T", Refused("token and alias id are the same value")),
    ("--provider-type", "CUSTOM_PROVIDER", Stored("CUSTOM_PROVIDER")),
    ("--provider-type", "Custom provider", Stored("Custom provider")),
    ("--provider-type", "providerType=CUSTOM_PROVIDER,operation=InvokeAgent", Stored("CUSTOM_PROVIDER")),
    ("--provider-type", "\"providerType\": \"CUSTOM_PROVIDER\"", Stored("CUSTOM_PROVIDER")),
    ("--provider-type", "string", Refused("is a placeholder")),
    ("--provider-type", "<providerType>", Refused("is a placeholder")),
    ("--provider-type", "3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5e", Refused("is a UUID")),
    ("--provider-type", "A,C", Refused("holds ','")),
    ("--endpoint", URL, Stored(URL)),
    ("--endpoint", "acme-A1B2C3", Stored(URL)),
    ("--endpoint", "accountId: acme-A1B2C3", Stored(URL)),
    ("--endpoint", "agentcontroltower.boomi.com/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics", Stored(URL)),
    ("--endpoint", "URL/", Stored(URL)),
    ("--endpoint", "URL/v1/metrics", Stored(URL)),
    ("--endpoint", "<URL>", Stored(URL)),
    ("--endpoint", "POST URL", Stored(URL)),
    ("--endpoint", "export OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=\"URL\"", Stored(URL)),
    ("--endpoint", "https://agentcontroltower.boomi.com/metric-ingestion/v1/acme-A1B2C3", Stored(URL)),
    ("--endpoint", "https://agentcontroltower.boomi.com/metric-ingestion/v1/acme-A1B2C3/otlp", Stored(URL)),
    ("--endpoint", "https://collector.example/v1/metrics", Stored("https://collector.example/v1/metrics")),
    ("--endpoint", "", Refused("is empty")),
    ("--endpoint", "agentcontroltower.boomi.com", Refused("is only a host")),
    ("--endpoint", "https://agentcontroltower.boomi.com/", Refused("is only a host")),
    ("--endpoint", "ACCOUNT-ID", Refused("is a placeholder")),
    ("--endpoint", "3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5e", Refused("is a UUID, and no account id")),
    ("--endpoint", "dev@acme.com", Refused("is an e-mail address")),
    (
        "--endpoint",
        "https://agentcontroltower.boomi.com/metric-ingestion/v1/{accountId}/otlp/public/metrics",
        Refused("still holds a placeholder"),
    ),
    (
        "--endpoint",
        "https://agentcontroltower.boomi.com/metric-ingestion/v1/ACCOUNT-ID/otlp/public/metrics",
        Refused("still holds a placeholder for the account id"),
    ),
    (
        "--endpoint",
        "https://agentcontroltower.boomi.com/metric-ingestion/v1/acme-A1B2C3/otlp/public/traces",
        Refused("is for traces"),
    ),
    ("--endpoint", "https://collector.example/v1/traces", Refused("is for traces")),
    ("--endpoint", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=URL", Refused("is the endpoint for traces")),
    ("--endpoint", "https://dev:T@act.example/metrics", Refused("holds a user name or password")),
    ("--endpoint", "URL?key=T", Refused("has a query or fragment")),
    ("--endpoint", "http://act.example/metrics", Refused("would send the token unencrypted")),
    ("--endpoint", "https://api.boomi.com/auth/jwt/generate/acme-A1B2C3", Refused("is another address of Boomi's")),
    (
        "--endpoint",
        "https://platform.boomi.com/AtomSphere.html#build;accountId=acme-A1B2C3",
        Refused("in it is acme-A1B2C3"),
    ),
    ("--endpoint", "https://\u{430}gentcontroltower.boomi.com/m", Refused("holds 'а'")),
    ("--endpoint", "https://act.example/a b", Refused("holds ' '")),
    ("--user", "your.mate@acme.com", Stored("your.mate@acme.com")),
    ("--user", "your-name@acme.com", Stored("your-name@acme.com")),
    ("--user", "prvs=abc@acme.com", Stored("prvs=abc@acme.com")),
    ("--user", "o'neil@acme.com", Stored("o'neil@acme.com")),
    ("--user", "export X='dev@acme.com'", Stored("dev@acme.com")),
    ("--user", "export BOOMI_TOKEN=T", Refused("is a name and a value that is not called a user")),
    ("--user", "export BOOMI_TOKEN=t-1", Refused("is a name and a value that is not called a user")),
    ("--user", "USER_TOKEN=T", Refused("is a name and a value that is not called a user")),
    ("--user", "Basic B", Refused("looks like a token or an id")),
    ("--user", "BOOMI_TOKEN.T", Refused("looks like a token or an id")),
    ("--user", "'dev@acme.com", Refused("starts or ends with a quote")),
    ("--id", "X-Alias-Id:3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5e", Stored(ID)),
    ("--id", "extAccountAliasId=3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5e;x", Refused("holds ';'")),
    ("--id", "3f2c7e10-8a41-4b6e-9d0c-5f1a2b3c4d5e/x", Refused("holds something besides the id")),
    ("--id", "..", Refused("has no letter and no digit")),
    ("--id", "id", Refused("is a placeholder")),
    ("--id", "\"a-1", Refused("starts or ends with a quote")),
    ("--id", "BOOMI_TOKEN.dev@acme.com:T", Refused("holds a token")),
    ("--id", "BOOMI_TOKEN.T", Refused("holds a token")),
    ("--id", "Basic B", Refused("holds a token")),
    ("--id", "Bearer T", Refused("holds a token")),
    ("--id", "B", Refused("holds a token")),
    ("--provider-type", "User", Stored("User")),
    ("--provider-type", "Secret", Stored("Secret")),
    ("--provider-type", "value", Stored("value")),
    ("--provider-type", "Custom [beta]", Stored("Custom [beta]")),
    ("--provider-type", "T", Refused("is a UUID")),
    ("--provider-type", "x-T", Refused("holds a token")),
    ("--provider-type", "BOOMI_TOKEN.dev@acme.com:T", Refused("holds a token")),
    ("--provider-type", "Basic B", Refused("holds a token")),
    ("--provider-type", "[type]", Refused("is a placeholder")),
    ("--provider-type", "'Custom", Refused("starts or ends with a quote")),
    (
        "--endpoint",
        "https://agentcontroltower.boomi.com/metric-ingestion/v1/acme-A1B2C3//otlp/public/metrics",
        Refused("with another path than"),
    ),
    (
        "--endpoint",
        "https://agentcontroltower.boomi.com/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics/..",
        Refused("has '.' or '..' in its path"),
    ),
    (
        "--endpoint",
        "https://agentcontroltower.boomi.com/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics/foo",
        Refused("with another path than"),
    ),
    (
        "--endpoint",
        "https://agentcontroltower.boomi.com/metric-ingestion/v1/acme-A1B2C3/otlp/public/metricsx",
        Refused("with another path than"),
    ),
    (
        "--endpoint",
        "https://agentcontroltower.boomi.com/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics\\",
        Refused("holds '\\\\'"),
    ),
    (
        "--endpoint",
        "https://agentcontroltower.boomi.com/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics;x",
        Refused("with another path than"),
    ),
    ("--endpoint", "https://agentcontroltower.boomi.com/foo", Refused("with another path than")),
    (
        "--endpoint",
        "https://agentcontroltower.boomi.com:80/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics",
        Refused("has port 80, which is for http"),
    ),
    (
        "--endpoint",
        "https://agentcontroltower.boomi.com:8443/metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics",
        Refused("has a port, which ACT's address has not"),
    ),
    (
        "--endpoint",
        "https://agentcontroltower.boomi.com./metric-ingestion/v1/acme-A1B2C3/otlp/public/metrics",
        Refused("has a '.' at the end of its host"),
    ),
    (
        "--endpoint",
        "https://collector.example:70000/v1/metrics",
        Refused("has a port that is no number from 1 to 65535"),
    ),
    ("--endpoint", "https://collector..example/v1/metrics", Refused("has no host name that can exist")),
    ("--endpoint", "https://-x.example/v1/metrics", Refused("has no host name that can exist")),
    ("--endpoint", "acme~x", Refused("holds '~'")),
    ("--endpoint", "T", Refused("is a UUID")),
    ("--endpoint", "BOOMI_TOKEN.dev@acme.com:T", Refused("")),
    ("--endpoint", "dev@acme.com:T", Refused("")),
    (
        "--endpoint",
        "https://agentcontroltower.boomi.com/metric-ingestion/v1/dev@acme.com/otlp/public/metrics",
        Refused("has an e-mail address in place of the account id"),
    ),
    ("--endpoint", "'URL", Refused("holds '\\''")),
    ("--name", "T", Refused("looks like a token or an id")),
    ("--name", "x-T", Refused("looks like a token or an id")),
    ("--name", "BOOMI_TOKEN.dev@acme.com:T", Refused("looks like a token or an id")),
    ("--name", "Basic B", Refused("looks like a token or an id")),
    ("--name", "B", Refused("looks like a token or an id")),
    ("--name", "dev@acme.com:T", Refused("looks like a token or an id")),
    ("--name", "b", Refused("looks like a token or an id")),
    ("--account", "T", Refused("looks like a token or an id")),
    ("--account", "x-T", Refused("looks like a token or an id")),
    ("--account", "BOOMI_TOKEN.dev@acme.com:T", Refused("looks like a token or an id")),
    ("--account", "Basic B", Refused("looks like a token or an id")),
    ("--account", "B", Refused("looks like a token or an id")),
    ("--account", "dev@acme.com:T", Refused("looks like a token or an id")),
    ("--account", "b", Refused("looks like a token or an id")),
    ("--token-env", "T", Refused("the name of a variable is needed, not its value")),
    ("--token-command", "BOOMI_TOKEN.dev@acme.com:T", Refused("a command that prints the token is needed")),
    ("--token-file", "T", Refused("there is no such file")),
];

fn encoded(text: &str) -> String {
    STANDARD.encode(text)
}

/// A row's text, with the values for which its letters stand.
fn pasted(row: &str) -> String {
    let credential = encoded(&format!("BOOMI_TOKEN.{USER}:{SECRET}"));
    match row {
        "B" => return credential,
        "b" => return encoded(SECRET),
        _ => {}
    }
    let encoded_user = USER.replace('@', "%40");
    // Letters count only as whole words. "U%" is the user, percent-encoded.
    let parts = row.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let words = parts.map(|part| {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len());
        let (word, rest) = part.split_at(end);
        let word = match word {
            "T" => SECRET,
            "U" if rest == "%" => &encoded_user,
            "U" => USER,
            "B" | "20B" => &credential,
            "URL" => URL,
            "eyJT" => "eyJhbGciOiJIUzI1NiJ9",
            word => word,
        };
        let rest = if word == encoded_user { "" } else { rest };
        format!("{word}{rest}")
    });
    words.collect::<String>().replace("Basic%", "Basic%20")
}

/// Runs a set-up in which every value but the given one is right.
fn setup(sandbox: &Sandbox, flag: &str, value: &str, input: &str) -> Output {
    let right = [
        ("--endpoint", URL),
        ("--user", USER),
        ("--id", ID),
        ("--provider-type", "CUSTOM_PROVIDER"),
        ("--account", "acme"),
        ("--name", "billing"),
    ];
    let mut command = sandbox.act_claude(&["act", "setup", "--yes", "--no-check"]);
    for (own, right) in right.into_iter().filter(|(own, _)| *own != flag) {
        command.args([own, right]);
    }
    match flag {
        "" => command.arg("--token-stdin"),
        flag if flag.starts_with("--token") => command.args([flag, value]),
        flag => command.args([flag, value, "--token-stdin"]),
    };
    command.current_dir(sandbox.directory("work/billing"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// What was printed, in one line.
fn said(output: &Output) -> String {
    let text = format!("{} {}", output.out(), output.err());
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Fails where a part of the secret, or of its base64, was printed.
fn keeps_the_secret(said: &str, row: &str) {
    let whole = encoded(&format!("BOOMI_TOKEN.{USER}:{SECRET}"));
    let (alone, encoded) = (encoded(SECRET), whole.trim_end_matches('=').split_at(36).1);
    for secret in [SECRET, alone.trim_end_matches('='), encoded] {
        for part in secret.as_bytes().windows(6).map(|part| std::str::from_utf8(part).unwrap()) {
            assert!(!said.contains(part), "{row:?}: {part} is printed: {said}");
        }
    }
}

#[test]
fn tokens_are_understood_or_refused_by_their_kind() {
    for (row, outcome) in TOKENS {
        let sandbox = Sandbox::new();
        sandbox.directory("work/billing");
        let output = setup(&sandbox, "", "", &pasted(row));
        let said = said(&output);
        keeps_the_secret(&said, row);
        let file = sandbox.config_file().with_file_name("acme.token");
        match outcome {
            Stored(_) => {
                assert_eq!(output.code(), 0, "{row:?}: {said}");
                assert_eq!(std::fs::read_to_string(file).unwrap(), format!("{SECRET}\n"), "{row:?}");
            }
            Refused(why) => {
                assert_eq!(output.code(), 64, "{row:?}: {said}");
                let begin = "--token-stdin: standard input contains";
                assert!(said.contains(&format!("{begin} {why}")), "{row:?}: {said}");
                assert!(snapshot(&sandbox.home()).is_empty(), "{row:?}");
            }
        }
    }
}

#[test]
fn values_are_understood_or_refused_by_their_kind() {
    for (flag, row, outcome) in VALUES {
        let sandbox = Sandbox::new();
        sandbox.directory("work/billing");
        let value = if row == URL { URL.to_owned() } else { pasted(row) };
        let output = setup(&sandbox, flag, &value, SECRET);
        let said = said(&output);
        keeps_the_secret(&said, row);
        match outcome {
            Stored(expected) => {
                assert_eq!(output.code(), 0, "{flag} {row:?}: {said}");
                let config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
                let stored = match flag {
                    "--user" => &config["accounts"]["acme"]["user"],
                    "--endpoint" => &config["accounts"]["acme"]["endpoint"],
                    "--id" => &config["aliases"]["billing"]["id"],
                    _ => &config["aliases"]["billing"]["provider_type"],
                };
                assert_eq!(stored, expected, "{flag} {row:?}");
            }
            Refused(why) => {
                assert_eq!(output.code(), 64, "{flag} {row:?}: {said}");
                assert!(said.contains(why), "{flag} {row:?}: {said}");
                assert!(said.contains(flag) || said.contains("token and"), "{flag} {row:?}: {said}");
                assert!(snapshot(&sandbox.home()).is_empty(), "{flag} {row:?}");
            }
        }
    }
}

/// A token as an argument is refused in every form in which somebody may try it, and not repeated.
#[test]
fn a_token_is_never_an_argument() {
    let sandbox = Sandbox::new();
    let (with_value, list) = (format!("--token={SECRET}"), format!("{SECRET},x"));
    let (glued, with_switch) = (format!("--token-{SECRET}"), format!("--token-stdin={SECRET}"));
    for (args, why) in [
        (&["--token", SECRET][..], "--token: a token is never an argument"),
        (&[&with_value], "--token: a token is never an argument"),
        (&["--token"], "--token: a token is never an argument"),
        (&[SECRET], "values follow their options here, and the token is typed when it is asked for"),
        (&["--name", &list], "--name: it looks like a token or an id"),
        (&["--account", &list], "--account: it looks like a token or an id"),
        (&["--name", "a,b"], "--name: it holds ','"),
        (&["--account", "a,b"], "--account: it holds ','"),
        (&[&glued], "there is no option (not repeated: it may be a token)"),
        (&["--tokn-stdin", SECRET], "there is no option --tokn-stdin: did you mean --token-stdin?"),
        (&[&with_switch], ""),
        (&["--spec", SECRET], "(not repeated: it may be a token): No such file or directory"),
        (&["--spec", "none.yaml"], "none.yaml: No such file or directory"),
        (&["--directory", SECRET], "--directory (not repeated: it may be a token): No such file or directory"),
        (&["--name", "-x"], ""),
    ] {
        let output = sandbox.act_claude(&["act", "setup", "--yes"]).args(args).output().unwrap();
        assert_eq!(output.code(), 64, "{args:?}");
        let said = said(&output);
        keeps_the_secret(&said, &args.join(" "));
        assert!(said.contains(why), "{args:?}: {said}");
    }
    assert!(snapshot(&sandbox.home()).is_empty());
}

/// A token in the place of a name, of a command or of a word is not repeated by any command.
#[test]
fn a_token_in_another_place_is_not_repeated() {
    let mut sandbox = Sandbox::new();
    sandbox.configure_one(URL);
    sandbox.set("ACT_CLAUDE_BIN", "/bin/true");
    let (pair, header) = (format!("dev@acme.com:{SECRET}"), format!("Basic {}", encoded(&format!("u:{SECRET}"))));
    let not = "(not repeated: it may be a token)";
    for secret in [SECRET, &pair, &header, &encoded(&format!("BOOMI_TOKEN.{USER}:{SECRET}"))] {
        let attribute = format!("x{secret}");
        for (args, why) in [
            (&["act", "use", secret][..], format!("there is no alias {not}; known: billing")),
            (&["act", "flush", "--to", secret], format!("there is no alias {not}; known: billing")),
            (&["act", "flush", "--only", secret], format!("there is no export {not} in the spool")),
            (&["act", "check", secret], format!("there is no alias {not}; known: billing")),
            (&["act", secret], format!("there is no command {not}")),
            (&["act", "doctor", secret], format!("{not} is one word too many")),
            (&["act", "aliases", "--remove", secret], format!("there is no alias {not}; known: billing")),
            (
                &["act", "aliases", "--remove", "billing", "--move-to", secret],
                format!("--move-to: there is no other alias {not}; known: billing"),
            ),
            (
                &["act", "aliases", "--add", secret, "--id", "i-1", "--provider-type", "P"],
                "--add: it looks like a token or an id".to_owned(),
            ),
            (
                &["act", "aliases", "--add", "x", "--account", secret, "--id", "i-1", "--provider-type", "P"],
                "--account: it looks like a token or an id".to_owned(),
            ),
            (&["act", "shell-init", secret], format!("{not} is not one of bash, zsh, fish")),
            (&["act", "receive", "--port", secret], format!("--port {not}: it must be a whole number")),
            (&["act", "demo", "--fail", secret], format!("--fail {not} is not one of")),
            (&["act", "setup", "--account", secret], "--account: it looks like a token or an id".to_owned()),
            (&["--alias", secret], format!("--alias: there is no alias {not}; known: billing")),
            (&["--report", secret], format!("--report {not} is not one of")),
            (&["act", "which", &attribute], format!("{not}: No such file or directory")),
            (&["act", "logs", &attribute], format!("no log of {not}")),
        ] {
            let before = snapshot(&sandbox.home().join(".config"));
            let output = sandbox.act_claude(args).output().unwrap();
            let said = said(&output);
            keeps_the_secret(&said, &args.join(" "));
            assert!(said.contains(&why), "{args:?}: {said}");
            assert_eq!(snapshot(&sandbox.home().join(".config")), before, "{args:?}");
        }
        let output = sandbox.act_claude(&["act", "doctor"]).env("ACT_CLAUDE_ALIAS", secret).output().unwrap();
        let said = said(&output);
        keeps_the_secret(&said, "ACT_CLAUDE_ALIAS");
        assert!(said.contains(&format!("ACT_CLAUDE_ALIAS: there is no alias {not}")), "{said}");
    }
}

/// A token that looks like a name is recognised where it is given as the token, too.
#[test]
fn a_token_that_looks_like_a_name_is_no_name() {
    for (flag, what) in [
        ("--name", "alias's name"),
        ("--account", "account's name"),
        ("--provider-type", "provider type"),
        ("--id", "alias id"),
        ("--user", "user"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.directory("work/billing");
        let output = setup(&sandbox, flag, "t0k-en", "t0k-en");
        let said = said(&output);
        let expected = format!("token and {what} are the same value: one of the two is in the other's place");
        assert!(output.code() == 64 && said.contains(&expected) && !said.contains("t0k-en"), "{flag}: {said}");
        assert!(snapshot(&sandbox.home()).is_empty(), "{flag}");
    }
}

/// A credential in a Monitoring Spec is neither taken nor repeated.
#[test]
fn a_credential_in_a_spec_is_not_repeated() {
    let credential = format!("BOOMI_TOKEN.{USER}:{SECRET}");
    let basic = format!("Basic {}", encoded(&credential));
    let with_user = URL.replace("https://", &format!("https://u:{SECRET}@"));
    let spec = |server: &str, id: &str, kind: &str| {
        json!({
            "openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "servers": [{"url": server}],
            "x-agent": {"extAccountAliasId": id, "providerType": kind},
        })
    };
    let server = URL.replace("/otlp/public/metrics", "");
    for (name, document, why) in [
        ("user", spec(&with_user, ID, "P"), "holds a user name or password"),
        ("path", spec(&with_user.replace("acme", "<acme>"), ID, "P"), ""),
        ("id", spec(&server, &credential, "P"), "holds a token"),
        ("header as the id", spec(&server, &basic, "P"), ""),
        ("kind", spec(&server, ID, &credential), "holds a token"),
        ("token as the kind", spec(&server, ID, SECRET), "is a UUID"),
        ("reference", json!({"openapi": "3.0.3", "x": {"$ref": format!("#/x/{credential}")}}), ""),
        ("version", json!({"openapi": credential}), "it is OpenAPI"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("spec.json", document.to_string());
        for format in [&["--json"][..], &[]] {
            let mut command = sandbox.act_claude(&["act", "setup", "--yes", "--no-check", "--spec"]);
            let output = command.arg(sandbox.home().join("spec.json")).args(format).output().unwrap();
            let said = said(&output);
            keeps_the_secret(&said, name);
            assert!(said.contains(why) && output.code() == 64, "{name}: {said}");
        }
    }
}

/// The same judgement applies where a token comes from a file, a variable or a command: nothing is sent to ACT.
#[test]
fn other_sources_of_a_token_are_judged_in_the_same_way() {
    let act = Act::start();
    for (row, why) in [
        ("<your API token>", "a placeholder instead of the token"),
        ("T T", "white space inside the token"),
        ("T\nT", "more than one line"),
        ("U", "an e-mail address, which is the user"),
        ("b57c3e10-****", "a masked token"),
        ("BOOMI_TOKEN.T", "BOOMI_TOKEN. without user:token"),
        ("T", ""),
        ("Basic B", ""),
        ("export BOOMI_TOKEN=T", ""),
    ] {
        for (source, verb) in [("file", "contains"), ("env", "contains"), ("command", "printed")] {
            let mut sandbox = Sandbox::new();
            sandbox.configure_one(&act.endpoint());
            let mut config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
            let file = sandbox.home().join("token");
            std::fs::write(&file, pasted(row)).unwrap();
            sandbox.set("OWN", pasted(row));
            config["accounts"]["acme"]["token"] = match source {
                "file" => json!({"file": file}),
                "env" => json!({"env": "OWN"}),
                _ => json!({"command": ["cat", file]}),
            };
            sandbox.configure(&config);
            let before = act.requests().len();
            let output = sandbox.act_claude(&["act", "check"]).output().unwrap();
            let said = said(&output);
            keeps_the_secret(&said, row);
            let sent = act.requests().split_off(before);
            if why.is_empty() {
                let credential = format!("BOOMI_TOKEN.{USER}:{SECRET}");
                assert!(!sent.is_empty(), "{source} {row:?}: {said}");
                let sent = sent.iter().filter(|request| request.header("authorization").is_some());
                assert!(
                    sent.map(crate::support::act::credential).all(|own| own == credential),
                    "{source} {row:?}: the token alone is sent"
                );
            } else {
                assert!(said.contains(&format!("{verb} {why}")), "{source} {row:?}: {said}");
                assert!(
                    sent.iter().all(|request| request.header("authorization").is_none()),
                    "{source} {row:?}: {sent:?}"
                );
            }
        }
    }
}

/// A token that was written into the configuration, or into a flag for something else, is named by no message.
#[test]
fn a_token_in_the_configuration_is_not_repeated() {
    let credential = format!("BOOMI_TOKEN.{USER}:{SECRET}");
    let own = |token: Value| {
        let sandbox = Sandbox::new();
        let mut account = sandbox.account(URL);
        account["token"] = token;
        sandbox.configure(&json!({"accounts": {"acme": account}}));
        sandbox
    };
    for (token, why) in [
        (json!(SECRET), "token must be one of"),
        (json!([SECRET]), "token must be one of"),
        (json!({"value": SECRET}), "token must be one of"),
        (json!({SECRET: true}), "token must be one of"),
        (json!({"env": SECRET}), "env holds a token"),
        (json!({"env": format!("TOKEN={SECRET}")}), "env is not the name of an environment variable"),
        (json!({"env": [SECRET]}), "env must be a text"),
        (json!({"file": SECRET}), "file holds a token"),
        (json!({"file": format!("{SECRET}/x")}), "file is not an absolute path"),
        (json!({"command": SECRET}), "command must be a list of texts"),
        (json!({"command": [credential]}), "command holds a token instead of a program"),
        (json!({"comand": [SECRET]}), "unknown key \"comand\": did you mean \"command\"?"),
    ] {
        let sandbox = own(token.clone());
        for args in
            [&["act", "aliases"][..], &["act", "doctor"], &["act", "check"], &["act", "setup", "--yes"], &["-p", "hi"]]
        {
            let output = sandbox.act_claude(args).output().unwrap();
            let said = said(&output);
            keeps_the_secret(&said, &token.to_string());
            assert!(args[1] != "aliases" || said.contains(why), "{token}: {said}");
        }
    }
}

/// `act aliases --add` takes the same values.
#[test]
fn aliases_are_judged_in_the_same_way() {
    let sandbox = Sandbox::new();
    sandbox.configure_one("http://127.0.0.1:9/m");
    let before = snapshot(&sandbox.home());
    for (id, kind, why) in [
        ("EXT-ACCOUNT-ALIAS-ID", "P", "--id: it is a placeholder"),
        (ID, "<providerType>", "--provider-type: it is a placeholder"),
        ("3fa85f64-5717-4562-b3fc-2c963f66afa6", "P", "--id: it is the sample"),
    ] {
        let output = sandbox
            .act_claude(&["act", "aliases", "--add", "web", "--id", id, "--provider-type", kind])
            .output()
            .unwrap();
        assert_eq!(output.code(), 64, "{id}");
        assert!(output.err().contains(why), "{id}: {}", output.err());
    }
    assert_eq!(snapshot(&sandbox.home()), before);
    let pasted = format!("X-Alias-Id: {ID}");
    let output = sandbox
        .act_claude(&["act", "aliases", "--add", "web", "--id", &pasted, "--provider-type", "P"])
        .output()
        .unwrap();
    assert_eq!(output.code(), 0, "{}", output.err());
    assert!(std::fs::read_to_string(sandbox.config_file()).unwrap().contains(&format!("\"id\": \"{ID}\"")));
}
