//! OTLP payloads: repair and redaction are compared with a slow and simple implementation on a tree.

use std::borrow::Cow;

use act_claude::otlp;

use crate::spelled::spelled;

const WORDS: [&str; 28] = [
    "\"resourceMetrics\":[",
    "{\"resource\":{\"attributes\":[",
    "\"attributes\":[",
    "\"scopeMetrics\":[",
    "\"metrics\":[{\"name\":\"m\",\"unit\":\"t\",\"sum\":{",
    "\"dataPoints\":[",
    "{\"asInt\":\"3\"}",
    "{\"asDouble\":0.5,\"attributes\":[",
    "{\"key\":\"user.email\",\"value\":{\"stringValue\":\"u@x\"}}",
    "{\"key\":\"user\\u002eemail\",\"value\":{}}",
    "{\"key\":\"providerType\",\"value\":{\"stringValue\":\"own\"}}",
    "{\"key\":\"te\\\"am\",\"value\":{\"intValue\":\"1\"}}",
    "{\"key\":\"session.id\",\"value\":{\"kvlistValue\":{\"values\":[",
    "\"key\":\"user.email\"",
    "\"key\":",
    "\"gauge\":{",
    "\"resource\":",
    "\"\\ud800\"",
    "null",
    "9007199254740993123",
    "1e400",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "]}]}]}",
];

/// Deeper JSON is no export.
const DEEPEST: usize = 128;

/// Repair and redaction make exactly their own changes.
pub fn check(data: &[u8]) {
    let body = spelled(data, &WORDS);
    let required = [("providerType", "P"), ("te\"am", "a \\ \u{1} ü")].map(|(key, value)| (key.into(), value.into()));
    let redact = ["user.email", "te\"am", ""].map(str::to_owned);
    for (required, redact) in [(&required[..], &[][..]), (&[], &redact[..1]), (&required[..], &redact[..])] {
        one(&body, required, redact);
    }
}

fn one(body: &[u8], required: &[(String, String)], redact: &[String]) {
    let repair = |body| otlp::repair(body, required, redact, usize::MAX).map(Cow::into_owned).expect("no limit");
    let result = otlp::repair(body, required, redact, usize::MAX).expect("no limit");
    let text = std::str::from_utf8(body).ok();
    let Some(text) = text.filter(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()) else {
        assert!(matches!(result, Cow::Borrowed(_)), "what is no JSON stays as it is");
        assert_eq!(otlp::read(body), None);
        return;
    };
    let mut parser = Parser { rest: text.trim_start(), deepest: 0 };
    let before = parser.value(0);
    if parser.deepest > DEEPEST {
        assert_eq!(otlp::read(body), None, "nested too deep to be an export");
        return;
    }
    if let Some(content) = otlp::read(body) {
        assert_eq!(content.points, points(&before));
    }
    let mut expected = before.clone();
    redacted(&mut expected, redact);
    repaired(&mut expected, required);
    let written = std::str::from_utf8(&result).expect("UTF-8 stays UTF-8");
    serde_json::from_str::<serde::de::IgnoredAny>(written).expect("JSON stays JSON");
    assert_eq!(Parser { rest: written.trim_start(), deepest: 0 }.value(0), expected, "{text}\n{written}");
    if expected == before {
        assert!(matches!(result, Cow::Borrowed(_)), "nothing to do, and yet: {written}");
    }
    if redact.is_empty() && !text.contains("null") {
        let mut bytes = result.iter();
        assert!(
            body.trim_ascii().iter().all(|byte| bytes.any(|other| other == byte)),
            "repair only adds: {text}\n{written}"
        );
    }
    let again = repair(&result);
    assert!(
        redact.iter().any(|key| required.iter().any(|(name, _)| name == key)) || again == *result,
        "once is enough"
    );
}

/// JSON with numbers and strings as written, and members in order, including repeated ones.
#[derive(Debug, Clone, PartialEq)]
enum Tree {
    Object(Vec<(String, Tree)>),
    List(Vec<Tree>),
    Other(String),
}

/// A parser for text that is known to be JSON.
struct Parser<'a> {
    rest: &'a str,
    deepest: usize,
}

impl Parser<'_> {
    fn value(&mut self, depth: usize) -> Tree {
        self.deepest = self.deepest.max(depth);
        if depth > DEEPEST {
            return Tree::Other(String::new());
        }
        match self.rest.as_bytes()[0] {
            b'{' => {
                let mut members = Vec::new();
                self.skip(1);
                while !self.rest.starts_with('}') {
                    let key = self.string();
                    self.skip(1);
                    members.push((decoded(&key).unwrap_or(key), self.value(depth + 1)));
                    self.skip(usize::from(self.rest.starts_with(',')));
                    if self.deepest > DEEPEST {
                        break;
                    }
                }
                self.skip(1);
                Tree::Object(members)
            }
            b'[' => {
                let mut items = Vec::new();
                self.skip(1);
                while !self.rest.starts_with(']') && self.deepest <= DEEPEST {
                    items.push(self.value(depth + 1));
                    self.skip(usize::from(self.rest.starts_with(',')));
                }
                self.skip(1);
                Tree::List(items)
            }
            b'"' => Tree::Other(self.string()),
            _ => {
                let end = self.rest.find([',', ']', '}', ' ', '\t', '\r', '\n']).unwrap_or(self.rest.len());
                let word = self.rest[..end].to_owned();
                self.skip(end);
                Tree::Other(word)
            }
        }
    }

    /// A string as it is written.
    fn string(&mut self) -> String {
        let mut end = 1;
        while self.rest.as_bytes()[end] != b'"' {
            end += if self.rest.as_bytes()[end] == b'\\' { 2 } else { 1 };
        }
        let string = self.rest[..=end].to_owned();
        self.skip(end + 1);
        string
    }

    /// Skips some characters, and the white space after them.
    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default().trim_start_matches([' ', '\t', '\r', '\n']);
    }
}

fn decoded(string: &str) -> Option<String> {
    serde_json::from_str(string).ok()
}

impl Tree {
    fn get(&self, name: &str) -> Option<&Tree> {
        let Tree::Object(members) = self else { return None };
        members.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    fn items(&self, name: &str) -> &[Tree] {
        match self.get(name) {
            Some(Tree::List(items)) => items,
            _ => &[],
        }
    }

    /// Whether a reader may read it as an attribute with one of these keys: of repeated members, some readers take the
    /// last.
    fn is_attribute(&self, keys: &[String]) -> bool {
        let Tree::Object(members) = self else { return false };
        members.iter().any(|(name, value)| {
            let key = if let Tree::Other(text) = value { decoded(text) } else { None };
            name == "key" && key.is_some_and(|key| keys.contains(&key))
        })
    }
}

fn points(root: &Tree) -> u64 {
    let kinds = ["sum", "gauge", "histogram", "exponentialHistogram", "summary"];
    let mut count = 0;
    for resource in root.items("resourceMetrics") {
        for metric in resource.items("scopeMetrics").iter().flat_map(|scope| scope.items("metrics")) {
            let Tree::Object(members) = metric else { continue };
            let kinds = members.iter().filter(|(name, _)| kinds.contains(&name.as_str()));
            count += kinds.map(|(_, data)| data.items("dataPoints").len() as u64).sum::<u64>();
        }
    }
    count
}

fn redacted(tree: &mut Tree, keys: &[String]) {
    match tree {
        Tree::Object(members) => members.iter_mut().for_each(|(_, value)| redacted(value, keys)),
        Tree::List(items) => {
            items.retain(|item| !item.is_attribute(keys));
            items.iter_mut().for_each(|item| redacted(item, keys));
        }
        Tree::Other(_) => {}
    }
}

fn repaired(root: &mut Tree, required: &[(String, String)]) {
    let Tree::Object(members) = root else { return };
    let Some((_, Tree::List(entries))) = members.iter_mut().find(|(key, _)| key == "resourceMetrics") else { return };
    for entry in entries.iter_mut().filter(|_| !required.is_empty()) {
        let Some(resource) = member_or(entry, "resource", Tree::Object(Vec::new())) else { continue };
        let Some(Tree::List(attributes)) = member_or(resource, "attributes", Tree::List(Vec::new())) else { continue };
        for (key, value) in required {
            let text = |text: &str| Tree::Other(serde_json::to_string(text).unwrap());
            let is_there =
                |item: &Tree| matches!(item.get("key"), Some(Tree::Other(k)) if decoded(k).as_ref() == Some(key));
            if !attributes.iter().any(is_there) {
                let value = Tree::Object(vec![("stringValue".into(), text(value))]);
                attributes.push(Tree::Object(vec![("key".into(), text(key)), ("value".into(), value)]));
            }
        }
    }
}

/// The first member of this name. If there is none, the given value is inserted at the front; if it is `null`, the
/// value replaces it.
fn member_or<'a>(tree: &'a mut Tree, name: &str, otherwise: Tree) -> Option<&'a mut Tree> {
    let Tree::Object(members) = tree else { return None };
    let at = members.iter().position(|(key, _)| key == name).unwrap_or_else(|| {
        members.insert(0, (name.to_owned(), Tree::Other("null".into())));
        0
    });
    let value = &mut members[at].1;
    if *value == Tree::Other("null".into()) {
        *value = otherwise;
    }
    Some(value)
}
