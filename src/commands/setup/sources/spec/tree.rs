//! Walks through a document: places, references, and the values that a schema names.

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;

use serde_json::Value;

use crate::config::typed::secret::quoted;

use super::Candidate;

/// A document whose references can be followed.
pub struct Tree<'a> {
    pub root: &'a Value,
    /// How many more references may be followed.
    steps: Rc<Cell<usize>>,
}

/// How many references may be followed in all. Without a limit, thirty schemas with two references each to the next schema would
/// need 2³⁰ steps. A Monitoring Spec needs some dozens.
const STEPS: usize = 50_000;

/// How many placeholders are noted.
const NOTED: usize = 100;

/// Why a value that is written as a number is only a guess.
pub const NUMBER: &str = "it is written as a number there";

impl<'a> Tree<'a> {
    /// Refuses a document with circular references.
    pub fn new(root: &'a Value) -> Result<Self, String> {
        let tree = Self { root, steps: Rc::new(Cell::new(STEPS)) };
        let mut result = Ok(());
        tree.visit(&mut |_, node| {
            if result.is_ok()
                && let Some(reference) = reference(node)
            {
                result = tree.follow(reference).map(|_| ());
            }
        });
        result.map(|()| tree)
    }

    /// A document inside this one. It shares the limit on references.
    pub fn inner<'b>(&self, root: &'b Value) -> Tree<'b> {
        Tree { root, steps: self.steps.clone() }
    }

    /// Calls `look` for every value, with its place.
    pub fn visit(&self, look: &mut impl FnMut(&str, &'a Value)) {
        fn descend<'a>(place: &mut String, value: &'a Value, look: &mut impl FnMut(&str, &'a Value)) {
            look(place, value);
            let length = place.len();
            let mut each = |step: String, inner: &'a Value| {
                place.push_str(&step);
                descend(place, inner, look);
                place.truncate(length);
            };
            match value {
                Value::Object(members) => members.iter().for_each(|(key, inner)| {
                    each(if length == 0 { key.clone() } else { format!(".{key}") }, inner);
                }),
                Value::Array(items) => {
                    items.iter().enumerate().for_each(|(index, inner)| each(format!("[{index}]"), inner));
                }
                _ => {}
            }
        }
        descend(&mut String::new(), self.root, look);
    }

    /// The final target of a reference. `None` where it is outside of this document or does not exist.
    pub fn follow(&self, reference: &str) -> Result<Option<&'a Value>, String> {
        let mut seen = HashSet::new();
        let mut next = reference;
        loop {
            self.step()?;
            if !seen.insert(next) {
                return Err(format!("its $ref {next} leads back to itself"));
            }
            let Some(target) = next.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)) else {
                return Ok(None);
            };
            match self::reference(target) {
                Some(further) => next = further,
                None => return Ok(Some(target)),
            }
        }
    }

    fn step(&self) -> Result<(), String> {
        let left = self.steps.get().checked_sub(1);
        self.steps.set(left.ok_or("its $ref need more steps than a Monitoring Spec does")?);
        Ok(())
    }

    /// The value itself, or the target of its `$ref`.
    pub fn resolve(&self, value: &'a Value) -> Option<&'a Value> {
        match reference(value) {
            Some(reference) => self.follow(reference).ok().flatten(),
            None => Some(value),
        }
    }

    /// The values that a parameter, header or schema names anywhere inside: for example a parameter's own example, or its
    /// schema's default, const, examples, enum.
    pub fn values(&self, place: &str, node: &Value) -> Result<Vec<Candidate>, String> {
        let mut values = Values { tree: self, found: Vec::new(), within: Vec::new() };
        values.of(place, node)?;
        Ok(values.found)
    }
}

fn reference(node: &Value) -> Option<&str> {
    node.get("$ref").and_then(Value::as_str)
}

/// A reference in the notation of places.
fn dotted(reference: &str) -> String {
    reference.trim_start_matches("#/").replace('/', ".").replace("~1", "/").replace("~0", "~")
}

struct Values<'t> {
    tree: &'t Tree<'t>,
    found: Vec<Candidate>,
    /// The references that are being followed. They detect a schema that contains itself through `allOf`.
    within: Vec<String>,
}

impl Values<'_> {
    fn of(&mut self, place: &str, node: &Value) -> Result<(), String> {
        let Value::Object(members) = node else {
            self.scalar(place, node);
            return Ok(());
        };
        if let Some(reference) = reference(node) {
            if self.within.iter().any(|outer| outer == reference) {
                return Err(format!("its $ref {reference} leads back to itself"));
            }
            let Some(target) = self.tree.follow(reference)? else { return Ok(()) };
            self.tree.step()?;
            self.within.push(reference.to_owned());
            self.of(&dotted(reference), target)?;
            self.within.pop();
        }
        for (key, inner) in members {
            let place = format!("{place}.{key}");
            match (key.as_str(), inner) {
                ("const" | "default" | "example" | "value", inner) if !inner.is_object() => self.scalar(&place, inner),
                ("enum" | "examples", Value::Array(items)) => {
                    items.iter().enumerate().for_each(|(index, item)| self.scalar(&format!("{place}[{index}]"), item));
                }
                ("allOf" | "anyOf" | "oneOf", Value::Array(items)) => {
                    for (index, item) in items.iter().enumerate() {
                        self.of(&format!("{place}[{index}]"), item)?;
                    }
                }
                ("schema", inner) => self.of(&place, inner)?,
                ("examples" | "content", Value::Object(named)) => {
                    for (name, inner) in named {
                        self.of(&format!("{place}.{name}"), inner)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn scalar(&mut self, place: &str, value: &Value) {
        let (value, guess) = match value {
            Value::String(text) => (text.trim().to_owned(), None),
            // The parser has changed numbers such as 007 or 1e3, so their original text is lost.
            Value::Number(number) if number.is_u64() => (number.to_string(), Some(NUMBER)),
            Value::Number(_) => (String::new(), Some(NUMBER)),
            _ => return,
        };
        self.found.push(Candidate { value, place: place.to_owned(), guess });
    }
}

/// Removes placeholders, and notes each one.
pub fn without_placeholders(
    candidates: Vec<Candidate>,
    is_placeholder: fn(&str) -> bool,
    notes: &mut Vec<String>,
) -> Vec<Candidate> {
    let (real, placeholders): (Vec<_>, Vec<_>) =
        candidates.into_iter().partition(|candidate| !is_placeholder(&candidate.value));
    for Candidate { value, place, guess } in placeholders.into_iter().take(NOTED) {
        let note = match guess {
            Some(NUMBER) if value.is_empty() => format!("{place}: {NUMBER}; put quotes around it"),
            _ => format!("{place} holds no value: {}", quoted(&value)),
        };
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    real
}
