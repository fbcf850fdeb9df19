//! Claude's debug log: its path, and what its lines about telemetry prove (pure).
//!
//! The wording is claude's own and changes. Lines are recognised by patterns, and a line that is not recognised is kept
//! unchanged.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::bytes::Regex;

use super::version::Version;
use crate::system::environment::Environment;

/// The first version that takes `--debug-file`. An older one refuses to start with it.
const DEBUG_FILE: Version = Version::new(2, 1, 20);

/// Matches what `grep -i "telemetry\|exporter\|otlp\|metric"` keeps.
pub fn kept() -> &'static Regex {
    static KEPT: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("(?i-u)telemetry|exporter|otlp|metric").expect("a valid pattern"));
    &KEPT
}

/// The fact that a line proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sign {
    /// Telemetry is switched off for claude.
    Off {
        /// The variable's value.
        value: String,
    },
    /// Claude set its OTLP exporter up.
    Started,
    /// The exporter could not be set up.
    NotStarted {
        /// Why.
        why: String,
    },
    /// The first export succeeded, partial or not.
    FirstDelivered,
    /// An export failed.
    Failed {
        /// Why.
        why: String,
    },
    /// At its end claude waited for the last export until a timeout.
    TimedOut,
    /// A variable was dropped, because managed settings claim it.
    Dropped {
        /// Which.
        variable: String,
        /// The managed key.
        by: String,
    },
    /// A variable in a repository's settings was ignored.
    Ignored {
        /// Which.
        variable: String,
        /// The file.
        file: String,
    },
    /// About Anthropic's own metrics.
    Anthropic,
    /// Anything else.
    Other,
}

/// Classifies a line.
pub fn classify(line: &str) -> Sign {
    let between = |start: &str, end: &str| {
        let rest = &line[line.find(start)? + start.len()..];
        Some(rest[..rest.find(end).unwrap_or(rest.len())].trim().to_owned())
    };
    if line.contains("BigQuery") || line.contains("[Anthropic telemetry]") {
        return Sign::Anthropic;
    }
    if let Some(value) = between("isTelemetryEnabled=false (CLAUDE_CODE_ENABLE_TELEMETRY=", ")") {
        return Sign::Off { value };
    }
    if let Some(why) = between("Telemetry init failed:", "\n") {
        return Sign::NotStarted { why };
    }
    if line.contains("First metrics export: SUCCESS") {
        return Sign::FirstDelivered;
    }
    if let Some(why) = between("First metrics export: FAILED (", "\n") {
        return Sign::Failed { why: why.strip_suffix(')').unwrap_or(&why).to_owned() };
    }
    if let Some(why) = between("metrics export failed (error ", "\",\"original") {
        let why = why.trim_end_matches('\\').trim_end_matches(')');
        // "OTLPExporterError: Unauthorized", "Error: connect ECONNREFUSED …"
        let why = why.split_once("Error: ").map_or(why, |(_, why)| why);
        return Sign::Failed { why: why.to_owned() };
    }
    if line.contains("telemetry flush timed out") {
        return Sign::TimedOut;
    }
    if line.contains(" is claimed by")
        && let (Some(variable), Some(by)) = (between("Dropping ", ":"), between(": ", " is claimed by"))
    {
        return Sign::Dropped { variable, by: by.rsplit(' ').next().unwrap_or_default().to_owned() };
    }
    if line.contains(" is ignored")
        && let Some((variable, file)) =
            between("] ", " is ignored").as_deref().and_then(|text| text.rsplit_once(" in "))
    {
        return Sign::Ignored { variable: variable.to_owned(), file: file.to_owned() };
    }
    if line.contains("getOtlpReaders: types=[\"otlp\"") {
        return Sign::Started;
    }
    Sign::Other
}

impl Sign {
    /// The meaning of the line, in words; `None` where the line is clear by itself or proves nothing.
    pub fn explain(&self) -> Option<String> {
        Some(match self {
            Self::Off { value } => {
                format!("claude's telemetry is off: CLAUDE_CODE_ENABLE_TELEMETRY is {value:?} for it")
            }
            Self::Started => "claude started its metrics exporter".to_owned(),
            Self::NotStarted { why } => format!("claude could not start its exporter: {why}"),
            Self::FirstDelivered => "the first export was accepted (rejected points are not in the log)".to_owned(),
            Self::Failed { why } => format!("an export failed: {why}"),
            Self::TimedOut => "claude stopped waiting for its last export: no answer in time".to_owned(),
            Self::Dropped { variable, by } => format!("claude dropped {variable}: managed settings set {by}"),
            Self::Ignored { variable, file } => format!("claude ignored {variable} in {file}"),
            Self::Anthropic => "about Anthropic's own metrics: proves nothing about ACT".to_owned(),
            Self::Other => return None,
        })
    }

    /// The word for it in output for programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Off { .. } => "off",
            Self::Started => "started",
            Self::NotStarted { .. } => "not_started",
            Self::FirstDelivered => "first_delivered",
            Self::Failed { .. } => "failed",
            Self::TimedOut => "timed_out",
            Self::Dropped { .. } => "dropped",
            Self::Ignored { .. } => "ignored",
            Self::Anthropic => "anthropic",
            Self::Other => "other",
        }
    }
}

/// The place that claude will write its log to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogFile {
    /// Claude writes its log into this file.
    File(PathBuf),
    /// Into a file of this directory, named by the session's id.
    In(PathBuf),
    /// To standard error.
    Nowhere,
    /// No log yet: claude is not in debug mode. The variable names a file or a directory, where it is set.
    Off {
        /// `CLAUDE_CODE_DEBUG_LOGS_DIR`
        wanted: Option<PathBuf>,
    },
}

/// Why a claude of this version gets no log of our own (promise A23); `None` where it takes one. Only `--debug-file` will do: with `--debug`
/// clients before 2.0 write their log to standard error.
pub fn refusal(client: Option<Version>) -> Option<String> {
    match client {
        Some(version) if version >= DEBUG_FILE => None,
        Some(version) => {
            Some(format!("claude {version} can't write one into a file of its own ({DEBUG_FILE} can): claude update"))
        }
        None => Some(format!("claude's version is not known; if it is {DEBUG_FILE} or newer, add --debug-file FILE")),
    }
}

/// The place of the log, by the user's own arguments and environment.
pub fn place(args: &[OsString], directory: &Path, environment: &Environment) -> LogFile {
    let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    let args = &args[..end];
    // The first one is effective (observed on both clients).
    let file = args.iter().enumerate().find_map(|(index, arg)| {
        let joined = arg.as_bytes().strip_prefix(b"--debug-file=").map(OsStr::from_bytes);
        joined.or_else(|| (arg == "--debug-file").then(|| args.get(index + 1)).flatten().map(OsString::as_os_str))
    });
    if let Some(file) = file {
        return LogFile::File(directory.join(file));
    }
    let is = |names: &[&str]| args.iter().any(|arg| names.iter().any(|name| arg == name));
    if is(&["--debug-to-stderr", "-d2e"]) {
        return LogFile::Nowhere;
    }
    let wanted = environment.get("CLAUDE_CODE_DEBUG_LOGS_DIR").filter(|value| !value.is_empty());
    let wanted = wanted.map(|wanted| directory.join(wanted));
    let filtered = args.iter().any(|arg| arg.as_bytes().starts_with(b"--debug="));
    if !is(&["--debug", "-d"]) && !filtered {
        return LogFile::Off { wanted };
    }
    match wanted {
        Some(wanted) if wanted.is_dir() => LogFile::In(wanted),
        Some(wanted) => LogFile::File(wanted),
        None => match own_directory(environment) {
            Some(own) => LogFile::In(own),
            None => LogFile::Nowhere,
        },
    }
}

/// The directory that claude chooses for its debug logs by itself.
pub fn own_directory(environment: &Environment) -> Option<PathBuf> {
    Some(super::settings::user_directory(environment)?.join("debug"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_both_clients_write_them() {
        let failed = |why: &str| Sign::Failed { why: why.into() };
        for (line, sign) in [
            ("[DEBUG] [3P telemetry] isTelemetryEnabled=true (CLAUDE_CODE_ENABLE_TELEMETRY=1)", Sign::Other),
            (
                "[DEBUG] [3P telemetry] isTelemetryEnabled=false (CLAUDE_CODE_ENABLE_TELEMETRY=)",
                Sign::Off { value: "".into() },
            ),
            (
                r#"[3P telemetry] getOtlpReaders: types=["otlp"], interval=5000, protocol=http/json, endpoint="#,
                Sign::Started,
            ),
            (r#"[3P telemetry] getOtlpReaders: types=["console"], interval=5000"#, Sign::Other),
            ("[3P telemetry] getOtlpLogExporters: types=[], protocol=undefined", Sign::Other),
            (
                "[ERROR] [3P telemetry] Telemetry init failed: exportIntervalMillis must be greater than 0",
                Sign::NotStarted { why: "exportIntervalMillis must be greater than 0".into() },
            ),
            ("[DEBUG] [3P telemetry] First metrics export: SUCCESS", Sign::FirstDelivered),
            ("[DEBUG] [3P telemetry] First metrics export: FAILED (Bad Request)", failed("Bad Request")),
            (
                "First metrics export: FAILED (connect ECONNREFUSED 127.0.0.1:4318)",
                failed("connect ECONNREFUSED 127.0.0.1:4318"),
            ),
            (
                r#"[ERROR] [3P telemetry] OTEL diag error: {"message":"PeriodicExportingMetricReader: metrics export failed (error OTLPExporterError: Unauthorized)","originalLine":"5""#,
                failed("Unauthorized"),
            ),
            (
                r#"{"message":"PeriodicExportingMetricReader: metrics export failed (error Error: connect ECONNREFUSED 127.0.0.1:4318)","originalLine":"5""#,
                failed("connect ECONNREFUSED 127.0.0.1:4318"),
            ),
            ("[ERROR] OpenTelemetry telemetry flush timed out after 2000ms", Sign::TimedOut),
            (
                "[WARN] Dropping OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: OTEL_EXPORTER_OTLP_HEADERS is claimed by managed settings, so lower-trust scopes cannot redirect the metrics signal",
                Sign::Dropped {
                    variable: "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT".into(),
                    by: "OTEL_EXPORTER_OTLP_HEADERS".into(),
                },
            ),
            (
                "[WARN] OTEL_METRICS_EXPORTER in .claude/settings.json is ignored — project-scoped settings can't set this key.",
                Sign::Ignored { variable: "OTEL_METRICS_EXPORTER".into(), file: ".claude/settings.json".into() },
            ),
            ("[DEBUG] BigQuery metrics exported successfully", Sign::Anthropic),
            ("[DEBUG] [Anthropic telemetry] First metrics export: SUCCESS", Sign::Anthropic),
            ("something about metrics", Sign::Other),
        ] {
            assert_eq!(classify(line), sign, "{line}");
        }
    }

    #[test]
    fn only_a_client_that_is_known_to_take_it_gets_a_log() {
        for (version, words) in [
            (None, "version is not known"),
            (Some("1.0.64"), "claude 1.0.64 can't"),
            (Some("2.0.77"), "claude 2.0.77 can't"),
            (Some("2.1.19"), "claude 2.1.19 can't"),
            (Some("2.1.20"), ""),
            (Some("2.1.332"), ""),
            (Some("3.0.0"), ""),
        ] {
            let refusal = refusal(version.map(|version| Version::parse(version).unwrap()));
            assert_eq!(refusal.is_none(), words.is_empty(), "{version:?}");
            assert!(refusal.unwrap_or_default().contains(words), "{version:?}");
        }
    }

    #[test]
    fn the_users_own_word_decides_where_the_log_is() {
        let place = |line: &[&str], variables: &[(&str, &str)]| {
            let args: Vec<OsString> = line.iter().map(OsString::from).collect();
            place(&args, Path::new("/w"), &variables.iter().copied().collect())
        };
        let home = [("HOME", "/h")];
        assert_eq!(place(&["-p", "x"], &home), LogFile::Off { wanted: None });
        let variable = [("CLAUDE_CODE_DEBUG_LOGS_DIR", "d.txt")];
        assert_eq!(place(&["-p", "x"], &variable), LogFile::Off { wanted: Some("/w/d.txt".into()) });
        assert_eq!(place(&["--debug"], &variable), LogFile::File("/w/d.txt".into()));
        assert_eq!(place(&["-d", "-p", "x"], &home), LogFile::In("/h/.claude/debug".into()));
        assert_eq!(place(&["--debug=api"], &home), LogFile::In("/h/.claude/debug".into()));
        assert_eq!(place(&["--debug-file", "a", "--debug-file=b"], &home), LogFile::File("/w/a".into()));
        assert_eq!(place(&["--debug-file=/b", "--debug"], &variable), LogFile::File("/b".into()));
        assert_eq!(place(&["-p", "--debug-to-stderr"], &home), LogFile::Nowhere);
        assert_eq!(place(&["-p", "--", "--debug"], &home), LogFile::Off { wanted: None });
    }
}
