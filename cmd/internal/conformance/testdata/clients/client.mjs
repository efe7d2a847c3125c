// What an agent comes for, through the TypeScript SDK.
// Arguments: v1|v2, stdio|http|sse, target, protocol mode, token, picture.
import { dirname } from "node:path";

const [kind, transport, target, mode, token, picture] = process.argv.slice(2);

function want(ok, what, got) {
  if (!ok) throw new Error(`${what}: ${JSON.stringify(got)?.slice(0, 2000)}`);
}

const http = { requestInit: { headers: { Authorization: `Bearer ${token}` } } };
const stdio = { command: target, args: ["serve", "--allow-path", dirname(picture)], env: process.env, stderr: "inherit" };

async function v1() {
  const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
  const { StdioClientTransport } = await import("@modelcontextprotocol/sdk/client/stdio.js");
  const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
  const { SSEClientTransport } = await import("@modelcontextprotocol/sdk/client/sse.js");
  const client = new Client({ name: "t", version: "0" });
  const streams = { stdio: () => new StdioClientTransport(stdio), http: () => new StreamableHTTPClientTransport(new URL(target), http), sse: () => new SSEClientTransport(new URL(target), http) };
  await client.connect(streams[transport]());
  return [client, (name, args, options) => client.callTool({ name, arguments: args }, undefined, options)];
}

async function v2() {
  const { Client, StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
  const { StdioClientTransport } = await import("@modelcontextprotocol/client/stdio");
  const negotiation = mode === "legacy" ? {} : { versionNegotiation: { mode: mode === "auto" ? "auto" : { pin: mode } } };
  const client = new Client({ name: "t", version: "0" }, negotiation);
  await client.connect(transport === "stdio" ? new StdioClientTransport(stdio) : new StreamableHTTPClientTransport(new URL(target), http));
  return [client, (name, args, options) => client.callTool({ name, arguments: args }, options)];
}

const [client, call] = await (kind === "v1" ? v1() : v2());

async function works(name, args, options) {
  const r = await call(name, args, options);
  want(!r.isError, name, r);
  return r.structuredContent;
}

const listed = await client.listTools();
want(listed.tools.length === 5, "tools", listed.tools.map((t) => t.name));

const wrong = await call("run_inference", { modl: "face" });
want(wrong.isError && wrong.structuredContent.error.code === "unknown_argument", "a tool error after listTools", wrong);

const hardware = await works("detect_hardware", {});
want(hardware.best === "cpu", "best", hardware.best);
const fetched = await works("fetch_model_cid", { model: "face" });
want(fetched.cid, "cid", fetched);
const found = await works("run_inference", { model: "face", inputs: [picture] });
want(found.outputs.length === 1 && found.outputs[0].label === "face", "outputs", found.outputs);

const steps = [];
const measured = await works("run_benchmark", { model: "face", iterations: 100000, duration_s: 1 }, { onprogress: (p) => steps.push(p) });
want(measured.results[0].samples > 0, "samples", measured);
want(steps.length > 0 && steps.every((s, i) => i === 0 || s.progress > steps[i - 1].progress), "progress", steps);

const abort = new AbortController();
let answered = null;
try {
  answered = await call("run_benchmark", { model: "face", iterations: 100000, duration_s: 30 }, { signal: abort.signal, onprogress: () => abort.abort("enough") });
} catch (e) {
  want(abort.signal.aborted, "cancelled", String(e));
}
want(answered === null, "a cancelled call is answered", answered);

const rows = await works("query_results", {});
want(rows.rows.length > 0, "rows", rows);
await client.close();
console.log("all is well");
