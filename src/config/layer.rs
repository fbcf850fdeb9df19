//! Reads one configuration file: structure, types, names (pure).

mod attribution;
mod copies;
mod source;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::config::typed::secret::quoted;
use crate::config::when::When;
use crate::text::json::{Fault, Member, Node, Origin, RootMember, Source};
use crate::text::nearest::nearest;
use crate::text::paths;

use super::broken::Broken;
use super::repositories;
use super::values::{self, check_endpoint, check_text, check_word, without_prefix};
use super::{Account, Alias, Api, Config, Delivery, Located, Pipeline, Rule};

const KEYS: [&str; 21] = [
    "$schema",
    "accounts",
    "aliases",
    "copies",
    "directories",
    "repositories",
    "hosts",
    "default",
    "claude",
    "delivery",
    "required",
    "replace_endpoint",
    "own_pipeline",
    "export_interval_ms",
    "exit_wait_ms",
    "ticket",
    "person",
    "report",
    "redact",
    "spool_files",
    "spool_mib",
];

const ALIAS: [&str; 6] = ["account", "id", "provider_type", "attributes", "attribute", "notice"];

/// Reads the text of `path`. Faulty parts are left out of the configuration and reported.
pub fn read(path: &Path, bytes: Vec<u8>, home: Option<&Path>) -> (Config, Vec<Fault>) {
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let line =
                error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|&&byte| byte == b'\n').count();
            let what = format!("line {} is not UTF-8", line + 1);
            return (Config::default(), vec![Fault::new(Origin::file(path), what)]);
        }
    };
    let source = Arc::new(Source { path: path.to_path_buf(), text });
    let mut reader = Reader { home, config: Config::default(), faults: Vec::new() };
    match source.members("the configuration", repositories::plain_end) {
        Ok(members) => members.into_iter().for_each(|member| reader.entry(member)),
        Err(fault) => {
            // A file that can't be parsed can't be used, but a syntax error must not cancel a company's "required".
            if says_required(&source.text) {
                reader.config.required = Some(Located { value: true, origin: Origin::file(path) });
            }
            reader.faults.push(fault);
        }
    }
    (reader.config, reader.faults)
}

/// Whether a text that is not valid JSON contains `"required": true`.
fn says_required(text: &str) -> bool {
    text.split("\"required\"")
        .skip(1)
        .any(|rest| rest.trim_start().strip_prefix(':').is_some_and(|value| value.trim_start().starts_with("true")))
}

struct Reader<'h> {
    home: Option<&'h Path>,
    config: Config,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn entry(&mut self, root: RootMember<'_>) {
        let member = &root.member;
        let node = member.value;
        let config = &mut self.config;
        let result = match member.key.as_ref() {
            "$schema" => Ok(()),
            "accounts" => return self.each(&root, "accounts", Self::account, Broken::account),
            "aliases" => return self.each(&root, "aliases", Self::alias, Broken::alias),
            "copies" => return self.copies(&root),
            "directories" => {
                return self.each(&root, "directories", Self::directory, |broken, _, fault| broken.rule(fault));
            }
            "repositories" => config.repositories.add(root, self.home).map(|(patterns, aliases)| {
                patterns.iter().for_each(|fault| config.broken.repository(fault));
                aliases.iter().for_each(|fault| config.broken.note(fault));
                self.faults.extend(patterns.into_iter().chain(aliases));
            }),
            "hosts" => return self.each(&root, "hosts", Self::host, |broken, _, fault| broken.repository(fault)),
            "default" => node_or_null(node, "default").map(|value| config.default = located(node, value)),
            "claude" => node.string("claude").and_then(|text| {
                config.claude = located(node, absolute(node, &text, self.home)?);
                Ok(())
            }),
            "delivery" => node.string("delivery").and_then(|text| {
                let delivery = match text.as_str() {
                    "relay" => Delivery::Relay,
                    "direct" => Delivery::Direct,
                    _ => return Err(one_of(node, "delivery", &text, &["relay", "direct"])),
                };
                config.delivery = located(node, delivery);
                Ok(())
            }),
            "required" => required(node, &mut config.required),
            "replace_endpoint" => {
                node.boolean("replace_endpoint").map(|value| config.replace_endpoint = located(node, value))
            }
            "own_pipeline" => node.string("own_pipeline").and_then(|text| {
                let own =
                    Pipeline::parse(&text).ok_or_else(|| one_of(node, "own_pipeline", &text, &Pipeline::NAMES))?;
                config.own_pipeline = located(node, own);
                Ok(())
            }),
            "export_interval_ms" => node
                .integer("export_interval_ms", 100..=3_600_000)
                .map(|value| config.export_interval_ms = located(node, value)),
            "exit_wait_ms" => {
                node.integer("exit_wait_ms", 0..=60_000).map(|value| config.exit_wait_ms = located(node, value))
            }
            "report" => node.string("report").and_then(|text| {
                let when = When::parse(&text).ok_or_else(|| one_of(node, "report", &text, &When::NAMES))?;
                config.report = located(node, when);
                Ok(())
            }),
            "ticket" => node.string("ticket").and_then(|text| {
                attribution::check_ticket(&text).map_err(|why| node.fault(why))?;
                config.ticket = located(node, text);
                Ok(())
            }),
            "person" => attribution::person(node).map(|person| config.person = located(node, person)),
            "spool_files" => {
                node.integer("spool_files", 0..=1_000_000).map(|value| config.spool_files = located(node, value))
            }
            "spool_mib" => node.integer("spool_mib", 0..=65_536).map(|value| config.spool_mib = located(node, value)),
            "redact" => node.strings("redact").map(|value| config.redact = located(node, value)),
            _ => Err(unknown_key(member, &KEYS)),
        };
        self.faults.extend(result.err());
    }

    /// Reads each entry. One that can't be used is recorded with `broken`, and the others are used.
    fn each(
        &mut self,
        root: &RootMember<'_>,
        name: &str,
        read: fn(&mut Self, &Member<'_>) -> Result<(), Fault>,
        broken: fn(&mut Broken, &str, &Fault),
    ) {
        match root.members(name) {
            Ok(members) => {
                for member in &members {
                    if let Err(fault) = read(self, member) {
                        broken(&mut self.config.broken, &member.key, &fault);
                        self.faults.push(fault);
                    }
                }
            }
            Err(fault) => self.faults.push(fault),
        }
    }

    fn account(&mut self, member: &Member<'_>) -> Result<(), Fault> {
        check_name(member)?;
        let fields = Fields::of(member, "account", &["endpoint", "user", "token", "api", "attribution"])?;
        let endpoint = fields.checked("endpoint", check_endpoint)?;
        let user = fields.checked("user", |user| {
            check_word(user)?;
            match without_prefix(user) {
                "" => Err("has no name after BOOMI_TOKEN.".to_owned()),
                user if user.contains(':') => Err("holds ':'".to_owned()),
                _ => Ok(()),
            }
        })?;
        let token = source::read(fields.required("token")?, self.home, source::Subject::Token)?;
        let user = without_prefix(&user).to_owned();
        let api = match fields.optional("api") {
            None => Api::Documented,
            Some(node) if node.is_null() => Api::Off,
            Some(_) => Api::At(fields.checked("api", check_endpoint)?),
        };
        let attribution =
            fields.optional("attribution").map(|node| node.boolean("attribution")).transpose()?.unwrap_or(true);
        let account = Account { endpoint, user, token, api, attribution };
        self.config
            .accounts
            .insert(member.key.clone().into_owned(), Located { value: account, origin: member.key_node.origin() });
        Ok(())
    }

    fn alias(&mut self, member: &Member<'_>) -> Result<(), Fault> {
        check_name(member)?;
        let fields = Fields::of(member, "alias", &ALIAS)?;
        let account = fields.required("account")?;
        let alias = Alias {
            account: account.string("account")?,
            account_origin: account.origin(),
            id: fields.checked("id", check_word)?,
            provider_type: fields.checked("provider_type", check_text)?,
            attributes: fields.optional("attributes").map(attributes).transpose()?.unwrap_or_default(),
            attribute: fields.optional("attribute").map(attribution::list).transpose()?.unwrap_or_default(),
            notice: fields.optional("notice").map(notice).transpose()?,
        };
        if let Some(node) = fields.optional("attributes").filter(|_| alias.attributes.contains_key("providerType")) {
            return Err(node.fault("attributes may not hold providerType").fix("use \"provider_type\""));
        }
        self.config
            .aliases
            .insert(member.key.clone().into_owned(), Located { value: alias, origin: member.key_node.origin() });
        Ok(())
    }

    fn host(&mut self, member: &Member<'_>) -> Result<(), Fault> {
        let check = |host: &str, node: Node<'_>| match host.find(['/', ':', '@', '*']) {
            Some(at) => Err(node.fault(format!("\"hosts\" has names of hosts only, without {:?}", &host[at..=at]))),
            None => check_word(host).map_err(|why| node.fault(format!("a host {why}"))),
        };
        check(&member.key, member.key_node)?;
        let host = member.value.string("a host's name")?;
        check(&host, member.value)?;
        let located = Located { value: host.to_lowercase(), origin: member.key_node.origin() };
        self.config.hosts.insert(member.key.to_lowercase(), located);
        Ok(())
    }

    fn directory(&mut self, member: &Member<'_>) -> Result<(), Fault> {
        let path = absolute(member.key_node, &member.key, self.home)?;
        let alias = node_or_null(member.value, "a directory's alias");
        let fault = alias.as_ref().err().cloned();
        if let Some(fault) = &fault {
            self.config.broken.note(fault);
            self.faults.push(fault.clone());
        }
        let rule = Rule {
            written: member.key.clone().into_owned(),
            path,
            alias: alias.ok().flatten(),
            alias_origin: member.value.origin(),
            fault,
        };
        self.config.directories.push(Located { value: rule, origin: member.key_node.origin() });
        Ok(())
    }
}

/// `{ "day": 20 }`, in US dollars
fn notice(node: Node<'_>) -> Result<u64, Fault> {
    match &node.members("notice")?[..] {
        [member] if member.key == "day" => member.value.integer("day", 1..=1_000_000),
        _ => Err(node.fault("notice must be { \"day\": DOLLARS }")),
    }
}

/// The known members of an entry.
struct Fields<'a> {
    node: Node<'a>,
    /// The kind of entry.
    kind: &'static str,
    /// Its name.
    name: Cow<'a, str>,
    members: Vec<Member<'a>>,
}

impl<'a> Fields<'a> {
    fn of(entry: &Member<'a>, kind: &'static str, keys: &[&str]) -> Result<Self, Fault> {
        let (node, name) = (entry.value, entry.key.clone());
        // What may be a secret is looked for only where it would be shown: that takes longer than all the rest.
        let members = node.members(kind).or_else(|_| node.members(&format!("{kind} {}", quoted(&name))))?;
        match members.iter().find(|member| !keys.contains(&member.key.as_ref())) {
            Some(member) => Err(unknown_key(member, keys)),
            None => Ok(Self { node, kind, name, members }),
        }
    }

    fn optional(&self, key: &str) -> Option<Node<'a>> {
        self.members.iter().find(|member| member.key == key).map(|member| member.value)
    }

    fn required(&self, key: &str) -> Result<Node<'a>, Fault> {
        let lacks = || self.node.fault(format!("{} {} lacks \"{key}\"", self.kind, quoted(&self.name)));
        self.optional(key).ok_or_else(lacks)
    }

    fn checked(&self, key: &str, check: impl Fn(&str) -> Result<(), String>) -> Result<String, Fault> {
        let node = self.required(key)?;
        let text = node.string(key)?;
        check(&text).map_err(|why| node.fault(format!("{key} {why}")))?;
        Ok(text)
    }
}

/// Resource attributes: an object of strings that keep their values in `OTEL_RESOURCE_ATTRIBUTES` (promise C6).
pub fn attributes(node: Node<'_>) -> Result<BTreeMap<String, String>, Fault> {
    let mut attributes = BTreeMap::new();
    for member in node.members("attributes")? {
        check_word(&member.key)
            .and_then(|()| {
                if member.key.contains(['=', ';', '%']) { Err("holds '=', ';' or '%'".to_owned()) } else { Ok(()) }
            })
            .map_err(|why| member.key_node.fault(format!("the attribute name {} {why}", quoted(&member.key))))?;
        let value = member.value.string("an attribute").or_else(|_| {
            let name = format!("attribute {}", quoted(&member.key));
            member.value.string(&name)
        })?;
        check_text(&value).map_err(|why| member.value.fault(format!("attribute {} {why}", quoted(&member.key))))?;
        attributes.insert(member.key.into_owned(), value);
    }
    Ok(attributes)
}

/// "unknown key" with the nearest valid one.
fn unknown_key(member: &Member<'_>, keys: &[&str]) -> Fault {
    let fault = member.key_node.fault(format!("unknown key {}", quoted(&member.key)));
    match nearest(&member.key, keys.iter().copied()) {
        Some(near) => fault.fix(format!("did you mean \"{near}\"?")),
        None => fault.fix(format!(
            "valid here: {}",
            keys.iter().filter(|key| !key.starts_with('$')).copied().collect::<Vec<_>>().join(", ")
        )),
    }
}

fn one_of(node: Node<'_>, name: &str, given: &str, valid: &[&str]) -> Fault {
    let fault = node.fault(format!("{name} must be one of {}, not {}", valid.join(", "), quoted(given)));
    match nearest(given, valid.iter().copied()) {
        Some(near) => fault.fix(format!("did you mean \"{near}\"?")),
        None => fault,
    }
}

fn check_name(member: &Member<'_>) -> Result<(), Fault> {
    values::check_name(&member.key)
        .map_err(|why| member.key_node.fault(format!("the name {} {why}", quoted(&member.key))))
}

/// A value of the wrong kind must not cancel what was meant, either.
fn required(node: Node<'_>, required: &mut Option<Located<bool>>) -> Result<(), Fault> {
    let read = node.boolean("required");
    let text = node.raw().trim_matches('"').trim().to_ascii_lowercase();
    let is_meant = text.parse().map_or(["true", "yes", "y", "on"].contains(&&*text), |number: f64| number != 0.0);
    if let Some(value) = read.as_ref().ok().copied().or(is_meant.then_some(true)) {
        *required = located(node, value);
    }
    read.map(drop)
}

fn located<T>(node: Node<'_>, value: T) -> Option<Located<T>> {
    Some(Located { value, origin: node.origin() })
}

fn node_or_null(node: Node<'_>, name: &str) -> Result<Option<String>, Fault> {
    if node.is_null() { Ok(None) } else { node.string(name).map(Some) }
}

/// Expands `~`, and requires an absolute path. `.` and doubled slashes are removed. `..` is refused, because after a symbolic
/// link it could mean another directory.
fn absolute(node: Node<'_>, text: &str, home: Option<&Path>) -> Result<PathBuf, Fault> {
    let shown = || quoted(text);
    let expanded = match text.strip_prefix('~') {
        None if text.starts_with("file:") => {
            if text.strip_prefix("file://").is_some_and(|path| !path.starts_with('/')) {
                return Err(node
                    .fault(format!("{}: a file URL must not name a host", shown()))
                    .fix("start it with file:///"));
            }
            paths::from_text(text)
        }
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            let home = home.ok_or_else(|| node.fault(format!("{} needs HOME, which is not set", shown())))?;
            home.join(rest.trim_start_matches('/'))
        }
        Some(_) => {
            return Err(node.fault(format!("{}: only ~ and ~/… are expanded", shown())).fix("write the full path"));
        }
        None => PathBuf::from(text),
    };
    if !expanded.is_absolute() || expanded.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(node.fault(format!("{} is not an absolute path", shown())).fix("start it with / or ~/"));
    }
    if expanded.components().any(|component| component == Component::ParentDir) {
        return Err(node.fault(format!("{} holds ..", shown())).fix("write the full path"));
    }
    Ok(expanded.components().collect())
}
