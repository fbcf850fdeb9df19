//! Reads `copies`. No fault repeats a text that is not known to be a name: a header's value may stand in the wrong place.

use super::source::{self, Subject};
use super::{Fields, Reader, check_name};
use crate::config::Located;
use crate::config::copies::{Destination, MOST_HEADERS, OWN_PIPELINE, same};
use crate::config::typed::secret::{is_secret, quoted};
use crate::config::values::{Security, TokenSource, check_url};
use crate::text::json::{Fault, Member, Node, RootMember};

const KEYS: [&str; 7] = ["endpoint", "headers", "redact", "aliases", "plain_http", "what", "protocol"];
/// The headers that belong to the delivery itself, in lower case.
const RESERVED: [&str; 12] = [
    "content-type",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "host",
    "connection",
    "origin",
    "user-agent",
    "expect",
    "te",
    "trailer",
    "upgrade",
];
/// The longest name of a header or of a copy.
const LONGEST_NAME: usize = 64;

impl Reader<'_> {
    /// Reads each copy. A fault breaks no more than one of them, or all of this file where they can't be told apart.
    pub(super) fn copies(&mut self, root: &RootMember<'_>) {
        let members = match root.members("copies") {
            Ok(members) => members,
            Err(fault) => {
                let fault = unrepeated(root.member.value, fault, "copies must be an object of names and destinations");
                self.config.copies_written.is_unreadable = true;
                self.config.broken.note_of_copies(&fault);
                self.faults.push(fault);
                return;
            }
        };
        for member in &members {
            if let Err(fault) = self.copy(member) {
                self.config.broken.copy(&member.key, &fault);
                self.faults.push(fault);
            }
        }
    }

    fn copy(&mut self, member: &Member<'_>) -> Result<(), Fault> {
        check_name(member)?;
        // The name is a directory's, where exports wait.
        let fault = |why: &str| Err(member.key_node.fault(format!("the name {} {why}", quoted(&member.key))));
        match &*member.key {
            name if name.contains(['/', '\\']) => return fault("holds a slash"),
            name if name.starts_with('.') => return fault("begins with '.'"),
            // Some file systems don't tell upper from lower case.
            name if name.eq_ignore_ascii_case(OWN_PIPELINE) => {
                return fault("is that of your own pipeline's copies");
            }
            name if name.len() > LONGEST_NAME => return fault("is longer than 64 characters"),
            _ => {}
        }
        if let Some(other) = self.config.copies.keys().find(|other| same(other, &member.key)) {
            let why = format!("differs from {} in upper and lower case only", quoted(other));
            return Err(member
                .key_node
                .fault(format!("the name {} {why}", quoted(&member.key)))
                .fix("rename one of the two"));
        }
        let name = member.key.clone().into_owned();
        if member.value.is_null() {
            self.config.copies_written.off.insert(name);
            return Ok(());
        }
        if member.value.kind() != "an object" {
            return Err(member.value.fault(format!("copy {} must be an object or null", quoted(&name))));
        }
        let fields = Fields::of(member, "copy", &KEYS)?;
        check_kind(&fields)?;
        let endpoint = endpoint(&fields)?;
        let headers = fields.optional("headers").map(|node| self.headers(node)).transpose()?.unwrap_or_default();
        let redact = fields.optional("redact").map(|node| texts(node, "redact")).transpose()?.unwrap_or_default();
        let redact = redact.into_iter().map(|key| key.value).collect();
        let listed = fields.optional("aliases").map(aliases).transpose()?;
        let aliases = listed.as_ref().map(|listed| listed.iter().map(|alias| alias.value.clone()).collect());
        let value = Destination { endpoint, headers, redact, aliases };
        let places = listed.into_iter().flatten().map(|alias| (name.clone(), alias));
        self.config.copies_written.aliases.extend(places);
        self.config.copies.insert(name, Located { value, origin: member.key_node.origin() });
        Ok(())
    }

    /// `{ "Authorization": { "file": "…" } }`
    fn headers(&self, node: Node<'_>) -> Result<Vec<(String, TokenSource)>, Fault> {
        let members = node
            .members("headers")
            .map_err(|fault| unrepeated(node, fault, "headers must be an object of names and sources"))?;
        if members.len() > MOST_HEADERS {
            return Err(node.fault(format!("headers has more than {MOST_HEADERS} headers")).fix("remove some of them"));
        }
        let mut headers: Vec<(String, TokenSource)> = Vec::with_capacity(members.len());
        for member in &members {
            check_header(member)?;
            if headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(&member.key)) {
                let what =
                    format!("the header {} occurs twice: upper and lower case are the same", quoted(&member.key));
                return Err(member.key_node.fault(what).fix("remove one of the two"));
            }
            let source = source::read(member.value, self.home, Subject::Header(&member.key))?;
            headers.push((member.key.clone().into_owned(), source));
        }
        Ok(headers)
    }
}

/// Checks the name of a header: a token of RFC 9110, and none that the delivery itself sets.
fn check_header(member: &Member<'_>) -> Result<(), Fault> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let name = &*member.key;
    // What can't be a name may be the value, in part or whole.
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(is_token) {
        let fault = member.key_node.fault("this is not the name of an HTTP header");
        return Err(fault.fix("write it as in \"Authorization\": {\"file\": \"…\"}"));
    }
    if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
        let fault = member.key_node.fault(format!("the header {name} is set by act-claude itself"));
        return Err(fault.fix("remove it"));
    }
    Ok(())
}

/// `what` and `protocol` say what there is no choice of yet.
fn check_kind(fields: &Fields<'_>) -> Result<(), Fault> {
    let is = |node: Node<'_>, word: &str| node.string("").is_ok_and(|text| text == word);
    if let Some(node) = fields.optional("what").filter(|node| !is(*node, "metrics")) {
        return Err(node
            .fault("what must be \"metrics\": only metrics are copied")
            .fix("write \"metrics\", or remove it"));
    }
    if let Some(node) = fields.optional("protocol").filter(|node| !is(*node, "http/json")) {
        let fault = node.fault("protocol must be \"http/json\": claude's exports are JSON, and no other is supported");
        return Err(fault.fix("name a receiver that takes OTLP as JSON, and write \"http/json\""));
    }
    Ok(())
}

/// The metrics URL, with its path: `/v1/metrics` is not added to it.
fn endpoint(fields: &Fields<'_>) -> Result<String, Fault> {
    let node = fields.required("endpoint")?;
    let text = node.string("endpoint").map_err(|_| node.fault("endpoint must be a text"))?;
    let security = check_url(&text).map_err(|why| node.fault(format!("endpoint {why}")))?;
    let plain_http = fields.optional("plain_http").map(|node| node.boolean("plain_http")).transpose();
    let may_be_plain = plain_http.map_err(|fault| Fault::new(fault.origin, "plain_http must be true or false"))?;
    if security == Security::Plain && may_be_plain != Some(true) {
        let what = "endpoint would send exports and headers unencrypted to another machine";
        return Err(node.fault(what).fix("write https://, or add \"plain_http\": true"));
    }
    let authority = text.split_once("://").map_or("", |(_, rest)| rest);
    if authority.find('/').is_none_or(|at| at + 1 == authority.len()) {
        let fault = node.fault("endpoint has no path");
        let whole = format!("{}/v1/metrics", text.trim_end_matches('/'));
        let fix = if is_secret(&text) { "add /v1/metrics".to_owned() } else { format!("write {whole}") };
        return Err(fault.fix(fix));
    }
    Ok(text)
}

/// The names of aliases, each with its place.
fn aliases(node: Node<'_>) -> Result<Vec<Located<String>>, Fault> {
    let aliases = texts(node, "aliases")?;
    if aliases.is_empty() {
        return Err(node.fault("aliases is empty, so that nothing is copied").fix("name an alias, or remove it: all"));
    }
    Ok(aliases)
}

/// A list of texts, each with its place.
fn texts(node: Node<'_>, key: &str) -> Result<Vec<Located<String>>, Fault> {
    let fault = |node: Node<'_>| node.fault(format!("{key} must be a list of texts"));
    let items = node.items().ok_or_else(|| fault(node))?;
    let text =
        |item: Node<'_>| Ok(Located { value: item.string(key).map_err(|_| fault(item))?, origin: item.origin() });
    items.into_iter().map(text).collect()
}

/// The fault of an object that can't be read, without what may be a secret.
fn unrepeated(node: Node<'_>, fault: Fault, must: &str) -> Fault {
    match node.kind() {
        "an object" if !is_secret(&fault.what) => fault,
        "an object" => Fault::new(fault.origin, "a name occurs twice in this object, or is incomplete"),
        _ => node.fault(must),
    }
}
