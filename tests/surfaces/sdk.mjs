// Drives @anthropic-ai/claude-agent-sdk: node sdk.mjs SDK SCENARIO START CWD. Prints each message of the SDK as a line of JSON.
//
// START says which claude the SDK starts: a path (`pathToClaudeCodeExecutable`), `bundled` (the SDK's own), or `spawned`
// (the SDK's own through act-claude, as docs/sdk.md describes).
import { spawn } from "node:child_process";

const [sdk, scenario, start, cwd] = process.argv.slice(2);
const { prewarm, query } = await import(sdk);

const spawnClaudeCodeProcess = ({ command, args, cwd, env, signal }) =>
  spawn("act-claude", args, {
    cwd,
    signal,
    env: { ...env, ACT_CLAUDE_BIN: command },
    stdio: ["pipe", "pipe", "inherit"],
  });

const started =
  start === "bundled" ? {} : start === "spawned" ? { spawnClaudeCodeProcess } : { pathToClaudeCodeExecutable: start };
const options = { cwd, stderr: (text) => print({ stderr: text }), ...started };

function print(value) {
  process.stdout.write(JSON.stringify(value) + "\n");
}

// One conversation. `turns` are the questions; each is asked when the one before has its result.
async function converse(turns, more = {}, onMessage = () => {}) {
  let next;
  const wait = () => new Promise((resolve) => (next = resolve));
  let waiting = wait();
  async function* questions() {
    for (const content of turns) {
      yield { type: "user", message: { role: "user", content }, parent_tool_use_id: null };
      await waiting;
      waiting = wait();
    }
  }
  const conversation = query({ prompt: questions(), options: { ...options, ...more } });
  let session;
  for await (const message of conversation) {
    print(message);
    session = message.session_id ?? session;
    await onMessage(message, conversation);
    if (message.type === "result") next();
  }
  return session;
}

async function once(prompt, more = {}) {
  let session;
  for await (const message of query({ prompt, options: { ...options, ...more } })) {
    print(message);
    session = message.session_id ?? session;
  }
  return session;
}

const scenarios = {
  once: () => once("one question"),
  turns: () => converse(["first", "second", "third"]),
  async interrupt() {
    let interrupted = false;
    // The answer has begun: its first words have arrived.
    const onMessage = async (message, conversation) => {
      if (!interrupted && message.type === "stream_event" && message.event.type === "content_block_delta") {
        interrupted = true;
        await conversation.interrupt();
        print({ interrupted });
      }
    };
    await converse(["never end", "and now"], { includePartialMessages: true }, onMessage);
  },
  async resume() {
    const session = await once("remember this");
    await once("what was it", { resume: session });
  },
  async parallel() {
    const web = cwd.replace("billing", "web");
    await Promise.all([cwd, web, cwd, web].map((directory) => once("one question", { cwd: directory })));
  },
  // A spare, started before its directory is known.
  async spare() {
    const { cwd, ...parked } = options;
    const spare = await prewarm({ options: parked });
    for await (const message of spare.claim({ prompt: "one question", options: { cwd } })) print(message);
  },
  // The application gives up in the middle of an answer.
  async abort() {
    const abortController = new AbortController();
    const onMessage = (message) => {
      if (message.type === "stream_event" && message.event.type === "content_block_delta") abortController.abort();
    };
    await converse(["never end"], { includePartialMessages: true, abortController }, onMessage);
  },
  // What anthropics/claude-code-action does: one message of two parts; it leaves at the result, without waiting for claude's end.
  async action() {
    const text = (text) => ({ type: "text", text });
    async function* message() {
      const content = [text("Instructions"), text("A request")];
      yield { type: "user", session_id: "", message: { role: "user", content }, parent_tool_use_id: null };
    }
    const action = {
      ...started,
      env: { ...process.env, CLAUDE_CODE_ENTRYPOINT: "claude-code-github-action" },
      systemPrompt: { type: "preset", preset: "claude_code" },
      settingSources: ["user", "project", "local"],
      extraArgs: {},
    };
    for await (const answer of query({ prompt: message(), options: action })) {
      print(answer);
      if (answer.type === "result") process.exit();
    }
  },
  // The application has settings of its own.
  settings: () => once("one question", { settings: JSON.stringify({ env: { MINE: "1" } }), settingSources: ["user"] }),
};

try {
  await scenarios[scenario]();
} catch (error) {
  print({ error: String(error) });
}
