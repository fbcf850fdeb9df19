//! A stand-in for claude: runs the steps in `$FAKE_CLAUDE` (see tests/support/fake_claude.rs).

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

fn main() {
    let script = std::env::var("FAKE_CLAUDE").unwrap_or_default();
    let mut extra = String::new();
    let mut sequence = 0;
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (step, rest) = line.split_once(' ').unwrap_or((line, ""));
        match step {
            "print" => println!("{rest}"),
            "complain" => eprintln!("{rest}"),
            "post-as" => extra.push_str(&format!("{rest}\r\n")),
            "post" => {
                sequence += 1;
                let body = if rest.is_empty() { export(sequence) } else { std::fs::read(rest).expect("a file") };
                note(&post(&extra, &body));
            }
            "posts" => {
                let (count, pause) = rest.split_once(' ').expect("a count and a pause");
                let pause = Duration::from_millis(pause.parse().expect("milliseconds"));
                for _ in 0..count.parse().expect("a count") {
                    sequence += 1;
                    note(&format!("{}-{sequence} {}", name(), post_again(&extra, &export(sequence))));
                    std::thread::sleep(pause);
                }
            }
            "environment" => {
                let entries = std::env::vars_os()
                    .flat_map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat());
                std::fs::write(rest, entries.collect::<Vec<u8>>()).expect("written");
            }
            "arguments" => {
                let arguments = std::env::args_os().flat_map(|arg| [arg.as_bytes(), b"\0"].concat());
                std::fs::write(rest, arguments.collect::<Vec<u8>>()).expect("written");
            }
            "touch" => std::fs::write(rest, "").expect("written"),
            "wait" => {
                while !Path::new(rest).exists() {
                    // The test has failed, and its sandbox no longer exists.
                    if Path::new(rest).parent().is_some_and(|place| !place.exists()) {
                        std::process::exit(1);
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            "read" => {
                std::io::stdin().lock().read_line(&mut String::new()).expect("a line");
            }
            "exit" => std::process::exit(rest.parse().expect("a number")),
            "kill" => {
                let signal: i32 = rest.parse().expect("a number");
                let signal = nix::sys::signal::Signal::try_from(signal).expect("a signal");
                nix::sys::signal::raise(signal).expect("raised");
            }
            other => panic!("no such step: {other}"),
        }
    }
}

/// Distinguishes this claude's exports from those of others.
fn name() -> String {
    std::env::var("FAKE_CLAUDE_NAME").unwrap_or_else(|_| std::process::id().to_string())
}

/// Like the real exporter: two more attempts after a 503, none after other answers.
fn post_again(extra: &str, body: &[u8]) -> String {
    let mut answer = post(extra, body);
    for _ in 0..2 {
        if !answer.starts_with("503") {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
        answer = post(extra, body);
    }
    answer
}

/// One export of two points, with different values each time.
fn export(sequence: u64) -> Vec<u8> {
    let attributes = std::env::var("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let attributes: Vec<String> = attributes
        .split(',')
        .filter_map(|item| item.split_once('='))
        .map(|(key, value)| {
            let value = serde_json::Value::from(decoded(value));
            format!(r#"{{"key":"{key}","value":{{"stringValue":{value}}}}}"#)
        })
        .collect();
    let session = format!("{}-{sequence}", name());
    let point = |extra: &str, value: u64| {
        format!(
            r#"{{"attributes":[{{"key":"session.id","value":{{"stringValue":"{session}"}}}}{extra}],"startTimeUnixNano":"1700000000000000000","timeUnixNano":"1700000005000000000","asInt":"{value}"}}"#
        )
    };
    let metric = |name: &str, unit: &str, point: &str| {
        format!(
            r#"{{"name":"{name}","unit":"{unit}","sum":{{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[{point}]}}}}"#
        )
    };
    let tokens = point(r#",{"key":"type","value":{"stringValue":"input"}}"#, 10 + sequence);
    format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{}]}},"scopeMetrics":[{{"scope":{{"name":"com.anthropic.claude_code"}},"metrics":[{},{}]}}]}}]}}"#,
        attributes.join(","),
        metric("claude_code.session.count", "", &point("", 1)),
        metric("claude_code.token.usage", "tokens", &tokens),
    )
    .into_bytes()
}

/// Percent-decoded, as the client reads the list.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()).filter(|_| first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Posts to the metrics endpoint over plain HTTP with the headers of the environment; returns "status body".
fn post(extra: &str, body: &[u8]) -> String {
    let Ok(endpoint) = std::env::var("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") else { return "no endpoint".to_owned() };
    let rest = endpoint.strip_prefix("http://").expect("plain http");
    let (host, path) = rest.split_once('/').expect("a path");
    let headers = std::env::var("OTEL_EXPORTER_OTLP_HEADERS").unwrap_or_default();
    let headers: String = headers
        .split(',')
        .filter_map(|header| header.split_once('='))
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let Ok(mut stream) = TcpStream::connect(host) else { return "not connected".to_owned() };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
    let head = format!(
        "POST /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: OTel-OTLP-Exporter-JavaScript/0.0\r\n\
         Content-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n{headers}{extra}\r\n",
        body.len()
    );
    if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).is_err() {
        return "broken".to_owned();
    }
    let mut reader = BufReader::new(stream);
    let mut status = String::new();
    let _ = reader.read_line(&mut status);
    let mut answer = String::new();
    let _ = reader.read_to_string(&mut answer);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    format!("{} {body}", status.split_ascii_whitespace().nth(1).unwrap_or("none"))
}

fn note(line: &str) {
    if let Ok(path) = std::env::var("FAKE_CLAUDE_LOG") {
        let mut file = OpenOptions::new().create(true).append(true).open(path).expect("the log");
        let _ = writeln!(file, "{line}");
    }
}
