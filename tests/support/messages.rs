//! A stand-in for the Messages API: it always answers "hello there"; the first answer may be a call of the Bash tool.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::http::{Handler, Reply, Request, Server};

/// Its answer.
pub const HELLO: &str = "hello there";

/// A question with these words gets the beginning of an answer, and no end.
pub const STALL: &str = "never end";

/// A running stand-in.
pub struct Messages {
    server: Server,
    script: Arc<Mutex<Script>>,
}

#[derive(Default, Clone)]
struct Script {
    tool: Option<String>,
    pause: Duration,
    turns: usize,
    conversations: Vec<Value>,
}

impl Messages {
    pub fn start() -> Self {
        let script = Arc::new(Mutex::new(Script::default()));
        let shared = script.clone();
        let handler: Handler = Arc::new(move |request| answer(request, &shared));
        Self { server: Server::start(handler), script }
    }

    /// The handler, for another kind of server.
    pub fn handler(&self) -> Handler {
        let shared = self.script.clone();
        Arc::new(move |request| answer(request, &shared))
    }

    /// For `ANTHROPIC_BASE_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Makes the first answer a call of the Bash tool.
    pub fn call_bash(&self, command: &str) {
        self.script.lock().unwrap().tool = Some(command.to_owned());
    }

    /// Delays each answer by this time.
    pub fn pause(&self, pause: Duration) {
        self.script.lock().unwrap().pause = pause;
    }

    /// The messages of each request for a turn so far.
    pub fn conversations(&self) -> Vec<Value> {
        self.script.lock().unwrap().conversations.clone()
    }

    /// The number of requests for a turn so far.
    pub fn turns(&self) -> usize {
        self.script.lock().unwrap().turns
    }
}

fn answer(request: &Request, script: &Mutex<Script>) -> Reply {
    if request.method != "POST" || !request.path.starts_with("/v1/messages") {
        return Reply::json(404, "{}");
    }
    if request.path.contains("/count_tokens") {
        return Reply::json(200, r#"{"input_tokens":10}"#);
    }
    let asked: Value = serde_json::from_slice(&request.body()).unwrap_or_default();
    let script = {
        let mut script = script.lock().unwrap();
        script.turns += 1;
        script.conversations.push(asked["messages"].clone());
        script.clone()
    };
    if asked["stream"] == true && question(&asked["messages"]).contains(STALL) {
        return begun(&asked);
    }
    let has_tools = asked["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    let has_result = asked["messages"].to_string().contains("\"tool_result\"");
    let call = script.tool.filter(|_| has_tools && !has_result);
    let reply = if asked["stream"] == true { stream(&asked, call.as_deref()) } else { whole(&asked) };
    if script.pause.is_zero() { reply } else { Reply::After(script.pause, Box::new(reply)) }
}

/// The newest words of the user.
fn question(messages: &Value) -> String {
    let mut messages = messages.as_array().into_iter().flatten();
    let Some(last) = messages.rfind(|message| message["role"] == "user") else { return String::new() };
    let blocks = last["content"].as_array().and_then(|blocks| blocks.last());
    blocks.map_or(&last["content"], |block| &block["text"]).to_string()
}

fn message(asked: &Value) -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": asked["model"], "content": [],
           "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 1,
           "cache_read_input_tokens": 200, "cache_creation_input_tokens": 30}})
}

fn whole(asked: &Value) -> Reply {
    let mut message = message(asked);
    message["content"] = json!([{"type": "text", "text": HELLO}]);
    message["stop_reason"] = json!("end_turn");
    Reply::json(200, &message.to_string())
}

fn stream(asked: &Value, call: Option<&str>) -> Reply {
    let (block, delta, stop) = match call {
        Some(command) => {
            let input = json!({"command": command, "description": "a test"}).to_string();
            (
                json!({"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}),
                json!({"type": "input_json_delta", "partial_json": input}),
                "tool_use",
            )
        }
        None => (json!({"type": "text", "text": ""}), json!({"type": "text_delta", "text": HELLO}), "end_turn"),
    };
    let events = [
        json!({"type": "message_start", "message": message(asked)}),
        json!({"type": "content_block_start", "index": 0, "content_block": block}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null},
               "usage": {"output_tokens": 5}}),
        json!({"type": "message_stop"}),
    ];
    Reply::with(200, "text/event-stream", &lines(&events))
}

/// The first words of an answer that does not go on.
fn begun(asked: &Value) -> Reply {
    let events = [
        json!({"type": "message_start", "message": message(asked)}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}}),
    ];
    Reply::Stalled(format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n{}", lines(&events)).into())
}

fn lines(events: &[Value]) -> String {
    let line = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().expect("a type"));
    events.iter().map(line).collect()
}
