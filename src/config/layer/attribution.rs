//! Reads what exports say about the work they were sent from: `attribute`, `ticket` and `person` (pure).

use crate::config::attribution::{Attribution, Person, ticket};
use crate::config::values::{check_text, check_word};
use crate::text::json::{Fault, Node};
use crate::text::nearest::nearest;

/// `["repository", "branch", …]`
pub(super) fn list(node: Node<'_>) -> Result<Vec<Attribution>, Fault> {
    let words = Attribution::ALL.map(Attribution::word);
    let mut found = Vec::new();
    for text in node.strings("attribute")? {
        let Some(attribution) = Attribution::ALL.into_iter().find(|attribution| attribution.word() == text) else {
            let fault = node.fault(format!("\"attribute\" has no \"{text}\""));
            return Err(match nearest(&text, words) {
                Some(near) => fault.fix(format!("did you mean \"{near}\"?")),
                None => fault.fix(format!("valid here: {}", words.join(", "))),
            });
        };
        if !found.contains(&attribution) {
            found.push(attribution);
        }
    }
    Ok(found)
}

/// Checks a regular expression for tickets.
pub(super) fn check_ticket(text: &str) -> Result<(), String> {
    match ticket(text) {
        Ok(pattern) if !pattern.is_match(b"") => Ok(()),
        Ok(_) => Err("ticket must not match an empty text".to_owned()),
        Err(error) => {
            let why = error.to_string();
            Err(format!("ticket is no regular expression: {}", why.lines().last().unwrap_or_default().trim()))
        }
    }
}

/// `"jane"` or `{ "env": "EMPLOYEE_ID" }`
pub(super) fn person(node: Node<'_>) -> Result<Person, Fault> {
    if let Ok(text) = node.string("person") {
        return check_text(&text).map(|()| Person::Text(text)).map_err(|why| node.fault(format!("person {why}")));
    }
    match &node.members("person")?[..] {
        [member] if member.key == "env" => {
            let name = member.value.string("env")?;
            check_word(&name).map_err(|why| member.value.fault(format!("env {why}")))?;
            if name.starts_with("OTEL_") {
                let fault =
                    member.value.fault("a repository's settings may set OTEL_ variables for sessions inside claude");
                return Err(fault.fix("name another variable"));
            }
            Ok(Person::Env(name))
        }
        _ => Err(node.fault("person must be a text, or { \"env\": \"NAME\" }")),
    }
}
