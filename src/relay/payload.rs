//! OTLP/JSON metrics: counted, repaired, redacted (pure).

use std::borrow::Cow;

use serde_json::{Map, Value, json};

/// The number of data points, or `None` where the body is no OTLP metrics export.
pub fn points(body: &[u8]) -> Option<u64> {
    let root: Value = serde_json::from_slice(body).ok()?;
    let resources = root.as_object()?.get("resourceMetrics")?.as_array()?;
    let metrics =
        resources.iter().flat_map(|resource| list(resource, "scopeMetrics")).flat_map(|scope| list(scope, "metrics"));
    let kinds = ["sum", "gauge", "histogram", "exponentialHistogram", "summary"];
    let count = metrics
        .flat_map(|metric| kinds.iter().filter_map(|kind| metric.get(*kind)))
        .map(|data| list(data, "dataPoints").len());
    Some(count.sum::<usize>() as u64)
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Puts back each required resource attribute that is missing, and drops the keys in `redact`. If neither
/// applies, the very same bytes go on.
pub fn repair<'a>(body: &'a [u8], required: &[(String, String)], redact: &[String]) -> Cow<'a, [u8]> {
    let Ok(mut root) = serde_json::from_slice::<Value>(body) else { return Cow::Borrowed(body) };
    let mut changed = false;
    if let Some(resources) = root.get_mut("resourceMetrics").and_then(Value::as_array_mut) {
        for resource in resources.iter_mut().filter_map(Value::as_object_mut) {
            changed |= add_missing(resource, required);
        }
    }
    if !redact.is_empty() {
        changed |= drop_attributes(&mut root, redact);
    }
    match changed.then(|| serde_json::to_vec(&root)) {
        Some(Ok(bytes)) => Cow::Owned(bytes),
        _ => Cow::Borrowed(body),
    }
}

fn add_missing(resource_metrics: &mut Map<String, Value>, required: &[(String, String)]) -> bool {
    let resource = resource_metrics.entry("resource").or_insert_with(|| json!({}));
    let Some(resource) = resource.as_object_mut() else { return false };
    let Some(attributes) = resource.entry("attributes").or_insert_with(|| json!([])).as_array_mut() else {
        return false;
    };
    let mut changed = false;
    for (key, value) in required {
        if !attributes.iter().any(|attribute| attribute.get("key").and_then(Value::as_str) == Some(key)) {
            attributes.push(json!({"key": key, "value": {"stringValue": value}}));
            changed = true;
        }
    }
    changed
}

fn drop_attributes(value: &mut Value, redact: &[String]) -> bool {
    let mut changed = false;
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| changed |= drop_attributes(item, redact)),
        Value::Object(object) => {
            for (key, inner) in object.iter_mut() {
                if let (true, Some(attributes)) =
                    (key == "attributes" || key == "filteredAttributes", inner.as_array_mut())
                {
                    let before = attributes.len();
                    attributes.retain(|attribute| {
                        !attribute.get("key").and_then(Value::as_str).is_some_and(|key| redact.iter().any(|r| r == key))
                    });
                    changed |= attributes.len() != before;
                }
                changed |= drop_attributes(inner, redact);
            }
        }
        _ => {}
    }
    changed
}
