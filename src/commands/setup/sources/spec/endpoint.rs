//! Finds the metrics URL, from a server, its variables, and a path.

use serde_json::Value;

use crate::config::check_endpoint;
use crate::config::typed::endpoint::{self, END, START, account_id};
use crate::config::typed::secret::quoted;
use crate::text::pasted;

use super::tree::{Tree, without_placeholders};
use super::{Candidate, Finding, MOST, is_placeholder};

const COMPLETED: &str = "its path was completed from the documentation";
const ANOTHER_PATH: &str = "its path is not the documented one";
const PROSE: &str = "found in descriptive text";

/// Finds the possible metrics URLs. Where all of them are unusable, for example plain http to another machine, the document is
/// refused.
pub fn find(tree: &Tree<'_>, notes: &mut Vec<String>) -> Result<Finding, String> {
    let mut found = Vec::new();
    let paths = metrics_paths(tree);
    for path in &paths {
        for server in servers(tree, path, notes)? {
            let place = format!("{}, paths.{}", server.place, path.name);
            let base = server.value.trim_end_matches('/');
            for rest in expand(tree, path.name, &|name| path_parameter(tree, path, name), notes)? {
                let guess = (path.kind < PathKind::Documented).then_some(ANOTHER_PATH);
                found.push(Candidate { value: format!("{base}{}", rest.value), place: place.clone(), guess });
            }
            if path.kind < PathKind::Documented {
                found.extend(completed(&server));
            }
        }
        found = Finding::of(found).candidates;
        if found.len() > MOST {
            return Err(too_many());
        }
    }
    if paths.is_empty() {
        for server in servers_of(tree, tree.root, "", notes)? {
            if server.value.ends_with(END) {
                found.push(server);
            } else {
                found.extend(completed(&server));
            }
        }
    }
    found.extend(extensions(tree));
    if found.is_empty() {
        tree.visit(&mut |place, node| {
            if let Value::String(text) = node {
                found.extend(prose(place, text));
            }
        });
    }
    let is_template =
        |url: &str| url.contains(['<', '>', '{', '}', '$', '…']) || account_id(url).is_some_and(is_placeholder);
    let (templates, mut found): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| is_template(&found.value));
    notes.extend(
        templates
            .into_iter()
            .map(|Candidate { value, place, .. }| format!("{place} holds no value: {}", quoted(&value))),
    );
    let mut refused = Vec::new();
    let check = |candidate: &Candidate| match candidate.guess {
        // Whether that path is right is the user's decision.
        Some(ANOTHER_PATH) => check_endpoint(&candidate.value),
        _ => endpoint::read(&candidate.value).map(drop),
    };
    found.retain(|candidate| match check(candidate) {
        Ok(()) => true,
        Err(why) => {
            refused.push(format!("{}: {} {why}", candidate.place, candidate.value));
            false
        }
    });
    match refused.first() {
        Some(why) if found.is_empty() => Err(format!("its metrics URL can't be used: {why}")),
        _ => {
            notes.extend(refused);
            let finding = Finding::of(found);
            if finding.candidates.len() > MOST { Err(too_many()) } else { Ok(finding) }
        }
    }
}

/// Metrics URLs that an extension (`x-…`) states: a value that is such a URL as a whole.
fn extensions(tree: &Tree<'_>) -> Vec<Candidate> {
    let mut found = Vec::new();
    tree.visit(&mut |place, node| {
        let Value::String(text) = node else { return };
        let is_extension = place.split('.').any(|step| step.len() > 2 && pasted::starts_with(step, "x-"));
        let text = text.trim();
        if is_extension && text.contains("://") && text.contains(START) && text.ends_with(END) {
            found.push(Candidate { value: text.to_owned(), place: place.to_owned(), guess: None });
        }
    });
    found
}

fn too_many() -> String {
    format!("it allows more than {MOST} metrics URLs")
}

/// How likely a path is the one for metrics, the least likely first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum PathKind {
    Metrics,
    Otlp,
    Documented,
}

struct Path<'a> {
    name: &'a str,
    kind: PathKind,
    item: &'a Value,
}

/// The paths that are most likely the one for metrics.
fn metrics_paths<'a>(tree: &Tree<'a>) -> Vec<Path<'a>> {
    let all = tree.root.get("paths").and_then(Value::as_object).into_iter().flatten();
    let mut paths: Vec<Path<'_>> = all
        .filter_map(|(name, item)| {
            let lower = name.to_ascii_lowercase();
            let kind = if lower.trim_end_matches('/').ends_with(END) {
                PathKind::Documented
            } else if lower.contains("otlp") {
                PathKind::Otlp
            } else if lower.contains("metric") {
                PathKind::Metrics
            } else {
                return None;
            };
            Some(Path { name, kind, item: tree.resolve(item)? })
        })
        .collect();
    let best = paths.iter().map(|path| path.kind).max();
    paths.retain(|path| Some(path.kind) == best);
    paths
}

/// The servers that apply to a path: those of its operation, otherwise of the path, otherwise of the document.
fn servers(tree: &Tree<'_>, path: &Path<'_>, notes: &mut Vec<String>) -> Result<Vec<Candidate>, String> {
    let operation = ["post", "put"].iter().find_map(|method| Some((*method, path.item.get(method)?)));
    let item = format!("paths.{}", path.name);
    match operation {
        Some((method, operation)) if operation.get("servers").is_some() => {
            servers_of(tree, operation, &format!("{item}.{method}."), notes)
        }
        _ if path.item.get("servers").is_some() => servers_of(tree, path.item, &format!("{item}."), notes),
        _ => servers_of(tree, tree.root, "", notes),
    }
}

fn servers_of(tree: &Tree<'_>, owner: &Value, place: &str, notes: &mut Vec<String>) -> Result<Vec<Candidate>, String> {
    let mut found = Vec::new();
    let servers = owner.get("servers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if servers.len() > MOST {
        return Err(too_many());
    }
    for (index, server) in servers.iter().enumerate() {
        let Some(url) = server.get("url").and_then(Value::as_str) else { continue };
        let place = format!("{place}servers[{index}]");
        let variable = |name: &str| {
            let variable = server.get("variables").and_then(|variables| variables.get(name));
            (format!("{place}.variables.{name}"), variable.cloned().into_iter().collect::<Vec<_>>())
        };
        for expanded in expand(tree, url.trim(), &variable, notes)? {
            let place = format!("{place}.url{}", expanded.place);
            found.push(Candidate { place, ..expanded });
        }
    }
    Ok(found)
}

/// The place and the declarations of a path's parameter.
fn path_parameter(tree: &Tree<'_>, path: &Path<'_>, name: &str) -> (String, Vec<Value>) {
    let operations = ["post", "put"].iter().filter_map(|method| path.item.get(method));
    let lists = std::iter::once(path.item).chain(operations).filter_map(|owner| owner.get("parameters")?.as_array());
    let own = lists.flatten().filter_map(|parameter| tree.resolve(parameter));
    let named = own.filter(|parameter| {
        let is = |key: &str, text: &str| parameter.get(key).and_then(Value::as_str) == Some(text);
        is("in", "path") && is("name", name)
    });
    (format!("paths.{}, parameter {name}", path.name), named.cloned().collect())
}

/// Expands a template with every combination of its variables' values. The place says where the values come from. A variable
/// without a value is noted, and the template then has no expansion.
fn expand(
    tree: &Tree<'_>,
    template: &str,
    variable: &dyn Fn(&str) -> (String, Vec<Value>),
    notes: &mut Vec<String>,
) -> Result<Vec<Candidate>, String> {
    let mut done = vec![Candidate { value: String::new(), place: String::new(), guess: None }];
    let mut rest = template;
    while let Some((before, name, after)) = next_variable(rest) {
        let (place, declared) = variable(name);
        let mut values = Vec::new();
        for value in &declared {
            values.extend(tree.values(&place, value)?);
        }
        let mut values = without_placeholders(values, is_placeholder, notes);
        values = Finding::of(values).candidates;
        if values.is_empty() {
            notes.push(format!("{place}: {{{name}}} has no value"));
        }
        if done.len() * values.len() > MOST {
            return Err(too_many());
        }
        done = done
            .iter()
            .flat_map(|so_far| values.iter().map(move |value| (so_far, value)))
            .map(|(so_far, value)| Candidate {
                value: format!("{}{before}{}", so_far.value, value.value),
                place: format!("{} with {name} from {}", so_far.place, value.place),
                guess: so_far.guess.or(value.guess),
            })
            .collect();
        rest = after;
    }
    done.iter_mut().for_each(|candidate| candidate.value.push_str(rest));
    Ok(done)
}

fn next_variable(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.find('{')?;
    let end = start + text[start..].find('}')?;
    Some((&text[..start], &text[start + 1..end], &text[end + 1..]))
}

/// The documented metrics URL for the account in a server's URL.
fn completed(server: &Candidate) -> Option<Candidate> {
    let at = server.value.find(START)? + START.len();
    let account = server.value[at..].split('/').next().filter(|account| !account.is_empty())?;
    let value = format!("{}{account}{END}", &server.value[..at]);
    Some(Candidate { value, place: server.place.clone(), guess: Some(COMPLETED) })
}

/// Documented metrics URLs in a text.
fn prose(place: &str, text: &str) -> Vec<Candidate> {
    let urls = text.split(|c: char| c.is_whitespace() || "\"'`<>()[],".contains(c));
    let urls = urls.filter(|word| word.starts_with("http") && word.contains(START) && !is_placeholder(word));
    urls.map(|url| Candidate {
        value: url.trim_end_matches(['.', ';', ':']).to_owned(),
        place: place.to_owned(),
        guess: Some(PROSE),
    })
    .collect()
}
