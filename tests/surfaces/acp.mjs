// A minimal client of the Agent Client Protocol: node acp.mjs ADAPTER CWD. Starts the adapter, asks one question in a session in
// CWD, and prints each message of the adapter as a line of JSON.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

const [adapter, cwd] = process.argv.slice(2);
const agent = spawn(process.execPath, [adapter], { stdio: ["pipe", "pipe", "inherit"] });
const waiting = new Map();
let last = 0;

function send(message) {
  agent.stdin.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
}

function call(method, params) {
  const id = ++last;
  send({ id, method, params });
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

createInterface({ input: agent.stdout }).on("line", (line) => {
  const message = JSON.parse(line);
  process.stdout.write(JSON.stringify(message) + "\n");
  if (message.method) {
    // A notification, or a request: this client has no capabilities.
    if (message.id !== undefined) send({ id: message.id, error: { code: -32601, message: "not supported" } });
    return;
  }
  const { resolve, reject } = waiting.get(message.id);
  message.error ? reject(new Error(JSON.stringify(message.error))) : resolve(message.result);
});

const ended = new Promise((resolve) => agent.on("exit", (code, signal) => resolve({ code, signal })));
await call("initialize", { protocolVersion: 1, clientCapabilities: {} });
const { sessionId } = await call("session/new", { cwd, mcpServers: [] });
await call("session/prompt", { sessionId, prompt: [{ type: "text", text: "say hello" }] });
agent.stdin.end();
process.stdout.write(JSON.stringify({ ended: await ended }) + "\n");
