//! Reads OTLP/JSON metrics: the parts that are needed to show and compare an export. Everything else is ignored.
//!
//! The encoding is proto3 JSON: absent and `null` mean the default, 64-bit integers may be strings or numbers, a
//! double may be `"NaN"`. Unknown fields are allowed. A wrong type is an error.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// An export's content.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Payload {
    /// One entry per `resourceMetrics`.
    pub resources: Vec<Resource>,
}

/// One `resourceMetrics`: the resource, and its metrics of all scopes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource {
    /// The resource attributes in the order they came.
    pub attributes: Attributes,
    /// The metrics in the order they came.
    pub metrics: Vec<Metric>,
}

/// Keys and plain JSON values. Of a repeated key, the last value is kept.
pub type Attributes = Map<String, Value>;

/// One metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metric {
    /// The name, for example `claude_code.token.usage`.
    pub name: String,
    /// The unit, for example `tokens`. Empty for a plain count.
    pub unit: String,
    /// Its data points.
    pub points: Vec<Point>,
}

/// One data point. Its value is that of a sum or gauge, or the `sum` of a histogram or summary.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The point's attributes.
    pub attributes: Attributes,
    /// Its value.
    pub value: Number,
}

/// A value as it was sent. Integers stay exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// `asInt`
    Int(i64),
    /// `asDouble`, or an integer beyond 64 bits
    Double(f64),
}

impl Payload {
    /// Reads a JSON body. The error is serde_json's: one line that says what is wrong and where.
    pub fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        // Parsed as a map first: serde would also accept a list in place of a struct.
        let fields: BTreeMap<String, &RawValue> = serde_json::from_slice(body)?;
        let Some(resources) = fields.get("resourceMetrics") else { return Ok(Self::default()) };
        let resources: Option<Vec<wire::Resource>> = serde_json::from_str(resources.get())?;
        Ok(Self { resources: resources.unwrap_or_default().into_iter().map(Resource::from).collect() })
    }

    /// How many data points it holds.
    pub fn points(&self) -> u64 {
        self.resources.iter().flat_map(|resource| &resource.metrics).map(|metric| metric.points.len() as u64).sum()
    }
}

impl Number {
    /// The value as a double.
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Double(value) => value,
        }
    }

    /// The sum. It is exact where both are integers and it does not overflow.
    pub fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) if a.checked_add(b).is_some() => Self::Int(a + b),
            (a, b) => Self::Double(a.as_f64() + b.as_f64()),
        }
    }

    /// The value as JSON. Values that JSON numbers do not have (`NaN`, `inf`) become strings.
    pub fn to_json(self) -> Value {
        match self {
            Self::Int(value) => value.into(),
            Self::Double(value) if value.is_finite() => value.into(),
            Self::Double(value) => value.to_string().into(),
        }
    }
}

impl From<wire::Resource> for Resource {
    fn from(wire: wire::Resource) -> Self {
        Self {
            attributes: wire::attributes(wire.resource.attributes),
            metrics: wire.scope_metrics.into_iter().flat_map(|scope| scope.metrics).map(Metric::from).collect(),
        }
    }
}

impl From<wire::Metric> for Metric {
    fn from(wire: wire::Metric) -> Self {
        let data = [wire.sum, wire.gauge, wire.histogram, wire.exponential_histogram, wire.summary];
        let points = data.into_iter().flatten().flat_map(|data| data.data_points);
        Self {
            name: wire.name,
            unit: wire.unit,
            points: points
                .map(|point| Point {
                    value: point.as_double.or(point.as_int).or(point.sum).unwrap_or(Number::Int(0)),
                    attributes: wire::attributes(point.attributes),
                })
                .collect(),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Int(i64),
            Double(f64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Int(value) => Ok(Self::Int(value)),
            Written::Double(value) => Ok(Self::Double(value)),
            Written::Text(text) => text
                .parse()
                .map(Self::Int)
                .or_else(|_| text.parse().map(Self::Double))
                .map_err(|_| serde::de::Error::custom(format!("{text:?} is not a number"))),
        }
    }
}

/// The structures of OTLP/JSON.
mod wire {
    use super::{Attributes, Deserialize, Deserializer, Number, Value};

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct Resource {
        #[serde(default, deserialize_with = "null_is_default")]
        pub resource: Attributed,
        #[serde(default, deserialize_with = "null_is_default")]
        pub scope_metrics: Vec<Scope>,
    }

    #[derive(Default, Deserialize)]
    pub struct Attributed {
        #[serde(default, deserialize_with = "null_is_default")]
        pub attributes: Vec<KeyValue>,
    }

    #[derive(Deserialize)]
    pub struct Scope {
        #[serde(default, deserialize_with = "null_is_default")]
        pub metrics: Vec<Metric>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct Metric {
        #[serde(default, deserialize_with = "null_is_default")]
        pub name: String,
        #[serde(default, deserialize_with = "null_is_default")]
        pub unit: String,
        pub sum: Option<Data>,
        pub gauge: Option<Data>,
        pub histogram: Option<Data>,
        pub exponential_histogram: Option<Data>,
        pub summary: Option<Data>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct Data {
        #[serde(default, deserialize_with = "null_is_default")]
        pub data_points: Vec<Point>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct Point {
        #[serde(default, deserialize_with = "null_is_default")]
        pub attributes: Vec<KeyValue>,
        pub as_double: Option<Number>,
        pub as_int: Option<Number>,
        pub sum: Option<Number>,
    }

    #[derive(Deserialize)]
    pub struct KeyValue {
        #[serde(default, deserialize_with = "null_is_default")]
        key: String,
        #[serde(default, deserialize_with = "null_is_default")]
        value: AnyValue,
    }

    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct AnyValue {
        string_value: Option<String>,
        bool_value: Option<bool>,
        int_value: Option<Number>,
        double_value: Option<Number>,
        array_value: Option<Values<AnyValue>>,
        kvlist_value: Option<Values<KeyValue>>,
        bytes_value: Option<String>,
    }

    #[derive(Deserialize)]
    struct Values<T> {
        #[serde(default = "Vec::new")]
        values: Vec<T>,
    }

    impl AnyValue {
        fn into_json(self) -> Value {
            if let Some(text) = self.string_value.or(self.bytes_value) {
                text.into()
            } else if let Some(flag) = self.bool_value {
                flag.into()
            } else if let Some(number) = self.int_value.or(self.double_value) {
                number.to_json()
            } else if let Some(array) = self.array_value {
                array.values.into_iter().map(Self::into_json).collect()
            } else if let Some(list) = self.kvlist_value {
                Value::Object(attributes(list.values))
            } else {
                Value::Null
            }
        }
    }

    pub fn attributes(list: Vec<KeyValue>) -> Attributes {
        list.into_iter().map(|entry| (entry.key, entry.value.into_json())).collect()
    }

    fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        Option::deserialize(deserializer).map(Option::unwrap_or_default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> Result<Payload, serde_json::Error> {
        Payload::read(value.to_string().as_bytes())
    }

    fn number(point: Value) -> Number {
        let export = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "n", "sum": {"dataPoints": [point]}}]}]}]});
        read(export).unwrap().resources[0].metrics[0].points[0].value
    }

    #[test]
    fn numbers_may_be_strings() {
        assert_eq!(number(json!({"asInt": "9007199254740993"})), Number::Int(9_007_199_254_740_993));
        assert_eq!(number(json!({"asInt": 7})), Number::Int(7));
        assert_eq!(number(json!({"asDouble": 0.25})), Number::Double(0.25));
        assert_eq!(number(json!({"asDouble": "0.25"})), Number::Double(0.25));
        assert!(number(json!({"asDouble": "NaN"})).as_f64().is_nan());
        assert_eq!(number(json!({"count": "2", "sum": 3.5})), Number::Double(3.5));
    }

    #[test]
    fn attribute_values_become_plain_json() {
        let attributes = json!([
            {"key": "s", "value": {"stringValue": "x"}},
            {"key": "i", "value": {"intValue": "12"}},
            {"key": "j", "value": {"intValue": 12}},
            {"key": "d", "value": {"doubleValue": 0.5}},
            {"key": "b", "value": {"boolValue": true}},
            {"key": "a", "value": {"arrayValue": {"values": [{"stringValue": "x"}, {"intValue": "1"}]}}},
            {"key": "k", "value": {"kvlistValue": {"values": [{"key": "in", "value": {"boolValue": false}}]}}},
            {"key": "empty", "value": {}},
            {"key": "null", "value": null},
        ]);
        let payload = read(json!({"resourceMetrics": [{"resource": {"attributes": attributes}}]})).unwrap();
        assert_eq!(
            Value::Object(payload.resources[0].attributes.clone()),
            json!({"s": "x", "i": 12, "j": 12, "d": 0.5, "b": true, "a": ["x", 1], "k": {"in": false}, "empty": null, "null": null})
        );
    }

    #[test]
    fn absent_and_null_are_empty_and_wrong_types_are_errors() {
        assert_eq!(read(json!({})).unwrap(), Payload::default());
        assert_eq!(read(json!({"resourceMetrics": null, "new": 1})).unwrap(), Payload::default());
        assert_eq!(read(json!({"resourceMetrics": [{"resource": null, "scopeMetrics": null}]})).unwrap().points(), 0);
        for wrong in [json!([]), json!("x"), json!({"resourceMetrics": "x"}), json!({"resourceMetrics": [1]})] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
        assert!(Payload::read(b"{\"resourceMetrics\":[").is_err());
    }

    #[test]
    fn integer_sums_stay_exact_until_they_overflow() {
        assert_eq!(Number::Int(1).plus(Number::Int(2)), Number::Int(3));
        assert_eq!(Number::Int(1).plus(Number::Double(0.5)), Number::Double(1.5));
        assert_eq!(Number::Int(i64::MAX).plus(Number::Int(1)), Number::Double(9_223_372_036_854_775_808.0));
    }
}
