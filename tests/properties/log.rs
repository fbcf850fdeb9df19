//! Claude's debug log: which lines are kept however the file grows, and what a line is classified as.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;

use act_claude::claude::debug_log::{Sign, classify, kept};
use act_claude::run::verify::Follow;

const WORDS: [&str; 29] = [
    "[DEBUG] [3P telemetry] ",
    "[Anthropic telemetry] ",
    "BigQuery",
    "isTelemetryEnabled=false (CLAUDE_CODE_ENABLE_TELEMETRY=",
    "isTelemetryEnabled=true",
    "Telemetry init failed:",
    "First metrics export: SUCCESS",
    "First metrics export: FAILED (",
    "metrics export failed (error ",
    "OTLPExporterError: ",
    "Error: ",
    ")\",\"originalLine\":\"5\"",
    "telemetry flush timed out after 2000ms",
    "[WARN] Dropping ",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    ": OTEL_EXPORTER_OTLP_HEADERS",
    " is claimed by managed settings",
    "] OTEL_METRICS_EXPORTER in ",
    ".claude/settings.json is ignored",
    " is ignored",
    "getOtlpReaders: types=[\"otlp\"]",
    "oTlP",
    "METRIC",
    "exporte",
    "r",
    "\\",
    ") ",
    "ä\u{2028}",
    "\u{1b}[31m",
];

/// The log as it grows in pieces, and each of its lines.
pub fn check(data: &[u8]) {
    let text = crate::spelled::spelled(data, &WORDS);
    let expected: Vec<&[u8]> = text.split(|&byte| byte == b'\n').filter(|line| is_kept(line)).collect();
    for cuts in [1, 3] {
        assert_eq!(followed(&text, cuts), expected, "in {cuts} pieces");
    }
    for line in text.split(|&byte| byte == b'\n') {
        proves(&String::from_utf8_lossy(line));
    }
}

/// Selects lines as `grep -i` does.
fn is_kept(line: &[u8]) -> bool {
    let line = line.to_ascii_lowercase();
    let words = ["telemetry", "exporter", "otlp", "metric"];
    words.iter().any(|word| line.windows(word.len()).any(|window| window == word.as_bytes()))
}

fn followed(text: &[u8], pieces: usize) -> Vec<Vec<u8>> {
    FILE.with_borrow_mut(|(log, follow)| {
        // A shorter file: its reader treats it as a new log in place of the old one.
        log.set_len(0).unwrap();
        follow.read(&mut |_| panic!("nothing is there")).unwrap();
        let mut lines = Vec::new();
        for piece in text.chunks(text.len().div_ceil(pieces).max(1)) {
            std::io::Seek::seek(log, std::io::SeekFrom::End(0)).unwrap();
            log.write_all(piece).unwrap();
            follow.read(&mut |line| lines.push(line.to_vec())).unwrap();
        }
        follow.finish(&mut |line| lines.push(line.to_vec()));
        lines
    })
}

/// The parts of a classification occur in the line, and a line about another vendor's metrics proves nothing.
fn proves(line: &str) {
    let sign = classify(line);
    let is_others = line.contains("BigQuery") || line.contains("[Anthropic telemetry]");
    assert_eq!(sign == Sign::Anthropic, is_others, "{line}");
    let parts: Vec<&str> = match &sign {
        Sign::Off { value } => vec![value, "CLAUDE_CODE_ENABLE_TELEMETRY"],
        Sign::NotStarted { why } => vec![why, "Telemetry init failed"],
        Sign::Failed { why } => vec![why, "etrics export", "FAILED", "failed"],
        Sign::Dropped { variable, by } => vec![variable, by],
        Sign::Ignored { variable, file } => vec![variable, file],
        Sign::Started => vec!["[\"otlp\""],
        Sign::FirstDelivered => vec!["SUCCESS"],
        Sign::TimedOut => vec!["timed out"],
        Sign::Anthropic | Sign::Other => vec![],
    };
    let missing = parts.iter().filter(|part| !line.contains(**part)).count();
    assert_eq!(missing, usize::from(matches!(sign, Sign::Failed { .. }) && missing == 1), "{sign:?} from {line}");
    if !matches!(sign, Sign::Other | Sign::Dropped { .. } | Sign::Ignored { .. } | Sign::Anthropic) {
        assert!(kept().is_match(line.as_bytes()), "{sign:?} from a line nobody sees: {line}");
    }
    assert_eq!(sign.explain().is_none(), sign.word() == "other");
}

thread_local! {
    static FILE: RefCell<(File, Follow)> = {
        let memory = std::path::Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let path = tempfile::NamedTempFile::new_in(place).unwrap().into_temp_path();
        let log = File::options().write(true).open(&path).unwrap();
        let follow = Follow::new(&path, 0, kept());
        // The path must exist while it is followed. It is removed when the process ends.
        std::mem::forget(path);
        RefCell::new((log, follow))
    };
}
