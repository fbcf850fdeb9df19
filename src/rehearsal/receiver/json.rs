//! Renders one export as one line of JSON (`act receive --json`).

use serde_json::{Value, json};

use super::answer::Answer;
use super::event::Export;
use super::payload::{Metric, Resource};
use super::summary::summary;

/// The object: `time` (RFC 3339, UTC), `status` (`null`: not answered), `alias`, `account`, `user`, `origin`,
/// `resources` (attributes and metrics; each metric with its sum and its points), `points`, `rejected`, `message`, `cause`, and
/// the `sha256` of the decompressed body.
pub fn export(export: &Export) -> Value {
    let cause = match &export.answer {
        Answer::Refused(refusal) => Some(&refusal.cause),
        _ => None,
    };
    let points = export.points();
    json!({
        "time": jiff::Timestamp::try_from(export.received).map(|time| format!("{time:.3}")).ok(),
        "status": export.answer.status(),
        "alias": export.alias,
        "account": export.account,
        "user": export.user,
        "origin": export.origin,
        "resources": export.payload.iter().flat_map(|payload| &payload.resources).map(resource).collect::<Vec<_>>(),
        "points": points,
        "rejected": points - export.answer.accepted_points(points),
        "message": export.answer.message(),
        "cause": cause,
        "sha256": export.sha256_hex(),
    })
}

fn resource(resource: &Resource) -> Value {
    json!({
        "attributes": resource.attributes,
        "metrics": resource.metrics.iter().map(metric).collect::<Vec<_>>(),
    })
}

fn metric(metric: &Metric) -> Value {
    let point =
        |point: &super::payload::Point| json!({ "value": point.value.to_json(), "attributes": point.attributes });
    json!({
        "name": metric.name,
        "unit": metric.unit,
        "value": summary(metric).0.to_json(),
        "points": metric.points.iter().map(point).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearsal::receiver::log_line::sample;

    #[test]
    fn golden() {
        let line = export(&sample::export(Answer::Partial { rejected: 3, message: "3 points rejected".to_owned() }));
        let head = json!({
            "time": "2026-11-23T09:41:07.250Z", "status": 200, "alias": "a1", "account": "acme-A1B2C3",
            "user": "dev@acme.com", "origin": "https://claude.ai",
        });
        for (key, value) in head.as_object().unwrap() {
            assert_eq!(&line[key], value, "{key}");
        }
        assert_eq!((&line["points"], &line["rejected"]), (&json!(8), &json!(3)));
        assert_eq!(line["resources"][0]["attributes"]["providerType"], "CUSTOM_PROVIDER");
        assert_eq!(
            line["resources"][0]["metrics"][2]["points"][0],
            json!({"value": 10.0, "attributes": {"model": "claude-opus-5-5", "type": "input"}})
        );
        assert_eq!(line["resources"][0]["metrics"][2]["value"], 15.0);
        assert_eq!(line["message"], "3 points rejected");
        assert_eq!(line["sha256"].as_str().unwrap().len(), 64);
    }

    #[test]
    fn an_export_without_answer_or_content() {
        let mut silent = sample::export(Answer::Silence);
        silent.payload = None;
        let line = export(&silent);
        assert_eq!((&line["status"], &line["points"], &line["resources"]), (&Value::Null, &json!(0), &json!([])));
    }
}
