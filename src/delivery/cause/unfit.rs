//! Requests of claude that the relay refuses.

use super::problem;
use crate::state::outcome::Problem;

/// Why the relay refuses a request of claude's: it is not an export that the relay can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// Its Content-Type is that of protobuf.
    Protobuf,
    /// Its Content-Type is missing, or is neither that of JSON nor that of protobuf.
    ContentType,
    /// Its Content-Encoding is not gzip, the only one that the relay can decode.
    Encoding,
    /// Its Content-Encoding is gzip, but its body is not gzip.
    NotGzip,
    /// The request, or the length of its body, is not valid HTTP.
    Malformed,
    /// Its body does not arrive in time.
    Slow,
    /// Its body is not an OTLP export in JSON.
    NoExport,
}

/// The problem of an export that the relay can't read. A header that the user adds is the likely reason, so the fix names it.
pub fn unfit(why: Unfit) -> Problem {
    let (said, headers) = match why {
        Unfit::Protobuf => {
            let cause = "Claude's environment or settings select another protocol";
            let fix = "set OTEL_EXPORTER_OTLP_METRICS_PROTOCOL to http/json";
            return problem("an export's Content-Type is not application/json but protobuf's", cause, fix, 74);
        }
        Unfit::ContentType => ("an export's Content-Type is not application/json", "Content-Type"),
        Unfit::Encoding => ("an export's Content-Encoding is not gzip", "Content-Encoding"),
        Unfit::NotGzip => ("an export is not gzip, but its Content-Encoding is", "Content-Encoding"),
        Unfit::Malformed => ("an export is no valid HTTP request", "Content-Length and Transfer-Encoding"),
        Unfit::Slow => ("an export's body did not arrive in time", "Content-Length"),
        Unfit::NoExport => ("what claude sent is no OTLP export in JSON", "Content-Length and Content-Encoding"),
    };
    let cause = "A header that claude's environment or settings add may be the reason";
    let variables = "OTEL_EXPORTER_OTLP_METRICS_HEADERS and OTEL_EXPORTER_OTLP_HEADERS";
    problem(said, cause, &format!("remove {headers} from {variables}"), 74)
}
