//! `repositories`: the alias of a repository, by the host and path of its remote (pure).
//!
//! `github.com/acme/billing` is one repository. `*` stands for a part between two slashes, or for some of its characters; `**`
//! stands for several parts. The most specific pattern that matches decides: the one whose repositories the others match, too.

mod pattern;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Located;
use super::typed::secret::quoted;
use crate::git::address::Address;
use crate::text::json::{Fault, MemberPlace, Origin, RootMember, Source, unquoted};

pub use pattern::{Pattern, plain_end};

/// An entry of `repositories`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryRule {
    /// As written, for messages.
    pub written: String,
    /// The repositories.
    pub pattern: Pattern,
    /// The alias; `None` for `null`: no telemetry there.
    pub alias: Option<String>,
    /// The place of the alias's name.
    pub alias_origin: Origin,
    /// What is wrong with the alias. In a box, because there may be thousands of rules.
    pub fault: Option<Box<Fault>>,
}

/// All entries of `repositories`, the user's before the system's. A company may have thousands, and a launch needs one or none: so they
/// stay as they are written, and are read where they are looked at.
#[derive(Debug, Clone, Default)]
pub struct RepositoryRules {
    files: Vec<RulesOfFile>,
    /// The directory that `~/` is.
    home: Option<PathBuf>,
}

/// The entries of one file.
#[derive(Debug, Clone)]
struct RulesOfFile {
    source: Arc<Source>,
    /// Those whose key is not plain have to be read to know which repositories they mean.
    rules: Vec<MemberPlace>,
}

/// The rule. An error is what is wrong with its pattern.
fn read(rule: MemberPlace, source: &Arc<Source>, home: Option<&Path>) -> Result<Located<RepositoryRule>, Fault> {
    let (key, value) = (rule.key(source), rule.value(source));
    let written = key.string("a repository")?;
    let pattern = if rule.is_plain() { Ok(Pattern::plain(&written)) } else { Pattern::read(&written, home) };
    let pattern = pattern.map_err(|(what, fix)| key.fault(format!("{} {what}", quoted(&written))).fix(fix))?;
    let alias = if value.is_null() { Ok(None) } else { value.string("a repository's alias").map(Some) };
    let (alias, fault) = match alias {
        Ok(alias) => (alias, None),
        Err(fault) => (None, Some(fault.into())),
    };
    let rule = RepositoryRule { written, pattern, alias, alias_origin: value.origin(), fault };
    Ok(Located { value: rule, origin: key.origin() })
}

impl RepositoryRules {
    /// Adds the entries of one file. Returns what is wrong: with patterns, which may mean any repository, and with aliases.
    ///
    /// # Errors
    ///
    /// The value is no object.
    pub fn add(&mut self, member: RootMember<'_>, home: Option<&Path>) -> Result<(Vec<Fault>, Vec<Fault>), Fault> {
        let (mut patterns, mut aliases) = (Vec::new(), Vec::new());
        let source = member.member.value.source().clone();
        let mut rules = member.into_places("repositories")?;
        rules.retain(|rule| {
            if !(rule.is_plain() && rule.is_string()) {
                match read(*rule, &source, home) {
                    Ok(read) => aliases.extend(read.value.fault.map(|fault| *fault)),
                    Err(fault) => {
                        patterns.push(fault);
                        return false;
                    }
                }
            }
            true
        });
        if !patterns.is_empty() {
            rules.iter_mut().for_each(MemberPlace::forget_repeated);
        }
        self.files.push(RulesOfFile { source: source.clone(), rules });
        self.home = home.map(Path::to_owned);
        Ok((patterns, aliases))
    }

    /// Adds the rules of the layer below.
    pub fn extend(&mut self, below: Self) {
        self.files.extend(below.files);
        self.home = self.home.take().or(below.home);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.files.iter().all(|file| file.rules.is_empty())
    }

    /// All rules, in order.
    pub fn iter(&self) -> impl Iterator<Item = Located<RepositoryRule>> {
        let read = |file: &RulesOfFile, rule: &MemberPlace| read(*rule, &file.source, self.home.as_deref()).ok();
        self.files.iter().flat_map(move |file| file.rules.iter().filter_map(move |rule| read(file, rule)))
    }

    /// The names of aliases that are not among `known`, with their places.
    pub fn unknown<'a>(&'a self, known: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = (String, Origin)> + 'a {
        let unknown = move |file: &RulesOfFile, rule: &MemberPlace| {
            let value = rule.value(&file.source);
            let name = Some(value.raw()).filter(|raw| raw.starts_with('"')).and_then(unquoted)?;
            (!known(&name)).then(|| (name.into_owned(), value.origin()))
        };
        let of_file = move |file: &RulesOfFile| -> Vec<(String, Origin)> {
            // Neighbours often have the same alias.
            if file.rules.iter().filter(|rule| !rule.is_repeated()).all(|rule| unknown(file, rule).is_none()) {
                return Vec::new();
            }
            file.rules.iter().filter_map(|rule| unknown(file, rule)).collect()
        };
        self.files.iter().flat_map(of_file)
    }

    /// The rules that match a repository, given as [`Address::key`].
    fn matching(&self, key: &str) -> Vec<Located<RepositoryRule>> {
        let raw = format!("\"{key}\"");
        let mut matching = Vec::new();
        for file in &self.files {
            // Most keys have another length: a quote is not where this one ends.
            let is_same = |text: &[u8]| text.get(raw.len() - 1) == Some(&b'"') && text.starts_with(raw.as_bytes());
            let candidates = file.rules.iter().filter(|rule| !rule.is_plain() || is_same(rule.text(&file.source)));
            let rules = candidates.filter_map(|rule| read(*rule, &file.source, self.home.as_deref()).ok());
            matching.extend(rules.filter(|rule| rule.pattern.matches(key)));
        }
        matching
    }
}

/// What the rules say about one repository.
#[derive(Debug)]
pub enum Selection {
    /// No rule matches.
    None,
    /// The most specific rule.
    Rule(Located<RepositoryRule>),
    /// Two rules with different aliases, of which neither is more specific.
    Tie(Located<RepositoryRule>, Located<RepositoryRule>),
}

/// What `rules` say about a repository. The user's rules come first, and take precedence over equally specific ones of the system.
pub fn select(rules: &RepositoryRules, address: &Address) -> Selection {
    let matching = rules.matching(&address.key());
    let is_narrower = |one: &RepositoryRule, other: &RepositoryRule| {
        other.pattern.covers(&one.pattern) && !one.pattern.covers(&other.pattern)
    };
    let mut narrowest = matching.iter().filter(|rule| !matching.iter().any(|other| is_narrower(other, rule)));
    let Some(first) = narrowest.next() else { return Selection::None };
    let mut rivals = narrowest.filter(|rule| rule.origin.path() == first.origin.path());
    match rivals.find(|rule| rule.alias != first.alias) {
        Some(rival) => Selection::Tie(first.clone(), rival.clone()),
        None => Selection::Rule(first.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(rules: &mut RepositoryRules, written: &[(&str, Option<&str>)], file: &str) {
        let members: Vec<String> =
            written.iter().map(|(key, alias)| format!("{key:?}: {}", serde_json::json!(alias))).collect();
        let source = Arc::new(Source { path: file.into(), text: format!("{{\"x\": {{{}}}}}", members.join(",")) });
        let member = source.members("it", plain_end).unwrap().remove(0);
        let faults = rules.add(member, Some(Path::new("/home/you"))).unwrap();
        assert_eq!(faults, (Vec::new(), Vec::new()));
    }

    fn rules(written: &[(&str, Option<&str>)], file: &str) -> RepositoryRules {
        let mut rules = RepositoryRules::default();
        add(&mut rules, written, file);
        rules
    }

    fn selected(rules: &RepositoryRules, url: &str) -> String {
        let address = Address::of(url.as_bytes(), Path::new("/"), |_| None).unwrap();
        match select(rules, &address) {
            Selection::None => "none".to_owned(),
            Selection::Rule(rule) => rule.value.written,
            Selection::Tie(one, other) => format!("{} = {}", one.written, other.written),
        }
    }

    #[test]
    fn the_most_specific_rule_decides() {
        let all = rules(
            &[
                ("**", Some("rest")),
                ("github.com/**", Some("hub")),
                ("github.com/acme/*", Some("platform")),
                ("GitHub.com/Acme/Billing.git", Some("billing")),
                ("github.com/acme/svc-*", Some("services")),
                ("github.com/*/fork", Some("fork")),
                ("*.acme.com/**", Some("own")),
                ("gitlab.acme.com/secret/**", None),
                ("gitlab.acme.com/**/deep", Some("deep")),
                ("dev.azure.com/org/project/_git/*", Some("azure")),
                ("dev.azure.com/org/My%20Project/_git/x", Some("azure")),
                ("/srv/git/**", Some("local")),
                ("~/git/x", Some("home")),
            ],
            "/c.json",
        );
        for (url, expected) in [
            ("git@github.com:acme/billing.git", "GitHub.com/Acme/Billing.git"),
            ("https://github.com/ACME/other", "github.com/acme/*"),
            ("https://github.com/acme/svc-pay", "github.com/acme/svc-*"),
            ("https://github.com/acme/sub/group", "github.com/**"),
            ("https://github.com/you/fork", "github.com/*/fork"),
            ("https://github.com/acme/fork", "github.com/acme/* = github.com/*/fork"),
            ("https://git.acme.com/a/b/c", "*.acme.com/**"),
            ("https://gitlab.acme.com/secret/x", "gitlab.acme.com/secret/**"),
            ("https://gitlab.acme.com/a/deep", "gitlab.acme.com/**/deep"),
            ("https://gitlab.acme.com/deep", "gitlab.acme.com/**/deep"),
            ("https://gitlab.acme.com/secret/deep", "gitlab.acme.com/secret/** = gitlab.acme.com/**/deep"),
            ("git@ssh.dev.azure.com:v3/org/project/repo", "dev.azure.com/org/project/_git/*"),
            ("https://dev.azure.com/org/My%20Project/_git/X", "dev.azure.com/org/My%20Project/_git/x"),
            ("/srv/git/a.git", "/srv/git/**"),
            ("/home/you/git/x", "~/git/x"),
            ("https://elsewhere.example/x", "**"),
        ] {
            assert_eq!(selected(&all, url), expected, "{url}");
        }
        assert_eq!(
            selected(&rules(&[("github.com/acme/*", Some("a"))], "/c.json"), "https://github.com/acmeco/x"),
            "none"
        );
        // The same alias twice is no contradiction.
        let same = rules(&[("github.com/acme/*", Some("a")), ("github.com/*/x", Some("a"))], "/c.json");
        assert_eq!(selected(&same, "https://github.com/acme/x"), "github.com/acme/*");
        // The user's file comes first, where neither is more specific.
        let mut both = rules(&[("github.com/*/x", Some("own"))], "/user.json");
        add(&mut both, &[("github.com/acme/*", Some("a"))], "/system.json");
        assert_eq!(selected(&both, "https://github.com/acme/x"), "github.com/*/x");
        add(&mut both, &[("github.com/acme/x", Some("b"))], "/system.json");
        assert_eq!(selected(&both, "https://github.com/acme/x"), "github.com/acme/x");
    }

    #[test]
    fn the_rules_that_match_are_those_whose_pattern_does() {
        let written = [
            "github.com/acme/billing",
            "github.com/acme/*",
            "github.com/acme/billin",
            "GitHub.com/acme/Billing",
            "github.com/acme/billing.git",
            "github.com/acme/billings",
            "github.com/acme/my project",
            "github.com/acme/my%20project",
            "github.com/acme/a\u{20}b",
            "**",
            "github.com/acme/billing/sub",
        ];
        let mut rules = rules(&written.map(|key| (key, Some("a"))), "/c.json");
        add(
            &mut rules,
            &[("github.com/acme/*", None), ("github.com/acme/billing", None), ("~/x", Some("b"))],
            "/d.json",
        );
        for key in [
            "github.com/acme/billing",
            "github.com/acme/my project",
            "github.com/acme/a b",
            "h/x",
            "a/b\"c",
            "/home/you/x",
        ] {
            let expected: Vec<_> = rules.iter().filter(|rule| rule.pattern.matches(key)).collect();
            assert_eq!(rules.matching(key), expected, "{key}");
        }
        assert_eq!(rules.matching("github.com/acme/billing").len(), 7);
    }

    #[test]
    fn each_rule_with_an_unknown_alias_is_named() {
        let written = [
            ("h/a", Some("known")),
            ("h/b", Some("other")),
            ("h/c", Some("other")),
            ("h/d", None),
            ("h/e", Some("known")),
            ("H/f", Some("others")),
            ("h/g", Some("know")),
        ];
        let rules = rules(&written, "/c.json");
        let alias = |rule: Located<RepositoryRule>| Some((rule.value.alias?, rule.value.alias_origin));
        let all: Vec<_> = rules.iter().filter_map(alias).collect();
        for known in [&[][..], &["known"], &["other", "others"], &["known", "other", "know", "others"]] {
            let expected: Vec<_> = all.iter().filter(|(name, _)| !known.contains(&name.as_str())).cloned().collect();
            assert_eq!(rules.unknown(|name| known.contains(&name)).collect::<Vec<_>>(), expected, "{known:?}");
        }
    }

    #[test]
    fn a_rule_whose_neighbour_is_no_pattern_is_named_too() {
        let text = r#"{"x": {"h/a": "known", "h//b": "other", "h/c": "other", "h/d": "other"}}"#;
        let source = Arc::new(Source { path: "/c.json".into(), text: text.into() });
        let mut rules = RepositoryRules::default();
        let (patterns, aliases) = rules.add(source.members("it", plain_end).unwrap().remove(0), None).unwrap();
        assert_eq!((patterns.len(), aliases.len()), (1, 0));
        let unknown: Vec<_> = rules.unknown(|name| name == "known").map(|(_, origin)| origin.to_string()).collect();
        assert_eq!(unknown, ["/c.json:1:48", "/c.json:1:64"]);
    }

    #[test]
    fn a_rule_is_for_one_repository_only_where_its_name_allows_it() {
        for (url, expected) in [
            ("https://github.com/Acme/x.git", Some("github.com/acme/x")),
            ("https://dev.azure.com/org/My%20Project/_git/x", Some("dev.azure.com/org/my project/x")),
            ("https://github.com/acme/*", None),
            ("https://github.com/**", None),
            ("https://github.com/acme/a:b", None),
            ("https://github.com/acme/[x]", None),
            ("https://github.com/acme/x%20", None),
        ] {
            let address = Address::of(url.as_bytes(), Path::new("/"), |_| None).unwrap();
            assert_eq!(Pattern::exactly(&address).as_ref().map(Pattern::text), expected, "{url}");
        }
    }
}
