//! How claude reads a list of exporters, as in `OTEL_METRICS_EXPORTER` (pure; T11a in docs/observed-claude.md).
//!
//! Commas separate the names, and blanks around a name are ignored. A name must match exactly: with one name that claude does not
//! know, its telemetry does not start for any signal.

use super::conflicts::is_truthy;

/// The names that both observed clients know for metrics; `none` means no exporter.
pub const METRICS: [&str; 4] = ["otlp", "console", "prometheus", "none"];
/// The names that both observed clients know for logs and traces.
pub const OTHERS: [&str; 3] = ["otlp", "console", "none"];

/// The names of a list.
pub fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty())
}

/// The names of a list that claude does not know.
pub fn unknown<'a>(list: &'a str, known: &[&str]) -> Vec<&'a str> {
    names(list).filter(|name| !known.contains(name)).collect()
}

/// Whether a list names OTLP, as claude spells it.
pub fn has_otlp(list: &str) -> bool {
    names(list).any(|name| name == "otlp")
}

/// Whether claude exports metrics to `otlp` with these values of its switch and of its list of exporters. With a name that it does not
/// know it exports nothing at all.
pub fn sends_metrics(switch: &str, list: &str) -> bool {
    is_truthy(switch) && has_otlp(list) && unknown(list, &METRICS).is_empty()
}

/// Whether a list says that nothing is to be exported, in upper or lower case.
pub fn is_none(list: &str) -> bool {
    let mut names = names(list).peekable();
    names.peek().is_some() && names.all(|name| name.eq_ignore_ascii_case("none"))
}

/// `otlp`, and the user's other exporters, each once. A name that claude does not know is left out, because claude would export
/// nothing at all with it; `otlp` twice would export everything twice.
pub fn with_otlp(own: &str) -> String {
    let mut list = vec!["otlp"];
    for name in names(own).filter(|name| *name != "none" && METRICS.contains(name)) {
        if !list.contains(&name) {
            list.push(name);
        }
    }
    list.join(",")
}

/// The names that [`with_otlp`] leaves out, apart from `otlp` and `none` in another spelling.
pub fn left_out(own: &str) -> Vec<&str> {
    let is_meant = |name: &&str| !["otlp", "none"].iter().any(|known| name.eq_ignore_ascii_case(known));
    unknown(own, &METRICS).into_iter().filter(is_meant).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_and_what_claude_knows_of_the_users() {
        for (own, list, without) in [
            ("", "otlp", &[][..]),
            ("otlp", "otlp", &[]),
            ("OTLP", "otlp", &[]),
            (" otlp , console", "otlp,console", &[]),
            ("console,otlp,otlp,console", "otlp,console", &[]),
            ("otlp,OTLP,prometheus", "otlp,prometheus", &[]),
            ("none", "otlp", &[]),
            ("None,console", "otlp,console", &[]),
            ("otpl", "otlp", &["otpl"]),
            ("logging,console", "otlp,console", &["logging"]),
            ("otlp;console", "otlp", &["otlp;console"]),
        ] {
            assert_eq!((with_otlp(own).as_str(), &left_out(own)[..]), (list, without), "{own:?}");
        }
    }

    #[test]
    fn nothing_is_to_be_exported_only_where_all_say_so() {
        for (list, expected) in
            [("none", true), (" None ", true), ("none,NONE", true), ("", false), (",", false), ("none,otlp", false)]
        {
            assert_eq!(is_none(list), expected, "{list:?}");
        }
    }

    #[test]
    fn names_are_exact() {
        assert_eq!(unknown("otlp, OTLP,console,", &METRICS), ["OTLP"]);
        assert_eq!(unknown("prometheus", &OTHERS), ["prometheus"]);
        assert!(has_otlp("console, otlp") && !has_otlp("OTLP"));
    }
}
