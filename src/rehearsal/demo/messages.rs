//! A stand-in for the Messages API on loopback. It gives the same reply to every prompt. It is also configured as claude's
//! proxy, and refuses all proxy requests.

use std::io;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::rehearsal::server::{Answer, Server};

/// The reply to every prompt.
pub const REPLY: &str = "hello there";

/// The largest request body that is read, in bytes. Claude's prompts take about 100 KiB.
const LIMIT: usize = 32 << 20;

/// A running stand-in. Dropping it stops it.
#[derive(Debug)]
pub struct Messages {
    server: Server,
}

impl Messages {
    /// Listens on a free port, and serves on its own thread.
    pub fn start() -> io::Result<Self> {
        Ok(Self { server: Server::start("messages", 0, serve)? })
    }

    /// Its URL, for `ANTHROPIC_BASE_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }
}

async fn serve(request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    // A request with CONNECT or with a whole URL is a proxy request.
    if head.method == Method::CONNECT || head.uri.host().is_some() {
        return respond(StatusCode::FORBIDDEN, "text/plain", "nothing leaves this machine\n".to_owned());
    }
    let path = head.uri.path();
    if head.method != Method::POST || !path.starts_with("/v1/messages") {
        return respond(StatusCode::NOT_FOUND, "application/json", "{}".to_owned());
    }
    let Ok(body) = Limited::new(body, LIMIT).collect().await else {
        return respond(StatusCode::BAD_REQUEST, "application/json", "{}".to_owned());
    };
    if path.contains("count_tokens") {
        return respond(StatusCode::OK, "application/json", json!({ "input_tokens": 10 }).to_string());
    }
    let asked: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
    if asked["stream"] == true {
        respond(StatusCode::OK, "text/event-stream", stream(&asked))
    } else {
        respond(StatusCode::OK, "application/json", whole(&asked).to_string())
    }
}

fn respond(status: StatusCode, kind: &'static str, body: String) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}

fn message(asked: &Value) -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": asked["model"], "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": { "input_tokens": 10, "output_tokens": 1 }
    })
}

fn whole(asked: &Value) -> Value {
    let mut message = message(asked);
    message["content"] = json!([{ "type": "text", "text": REPLY }]);
    message["stop_reason"] = json!("end_turn");
    message["usage"]["output_tokens"] = json!(5);
    message
}

fn stream(asked: &Value) -> String {
    let events = [
        json!({ "type": "message_start", "message": message(asked) }),
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": REPLY } }),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({
            "type": "message_delta", "delta": { "stop_reason": "end_turn", "stop_sequence": null },
            "usage": { "output_tokens": 5 }
        }),
        json!({ "type": "message_stop" }),
    ];
    events
        .iter()
        .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default()))
        .collect()
}
