"""What an agent comes for, through the Python SDK.

Arguments: stdio|http|sse, target, protocol mode, token, picture.
"""
import os
import sys

import anyio
import httpx2
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

transport, target, mode, token, picture = sys.argv[1:6]


def want(ok, what, got):
    if not ok:
        raise SystemExit(f"{what}: {str(got)[:2000]}")


def connect():
    if transport == "stdio":
        return StdioServerParameters(command=target, args=["serve", "--allow-path", os.path.dirname(picture)], env=dict(os.environ))
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60)
    return streamable_http_client(target, http_client=http)


async def works(client, name, arguments, **options):
    r = await client.call_tool(name, arguments, **options)
    want(not r.is_error, name, r)
    return r.structured_content


async def main():
    async with Client(connect(), mode=mode) as client:
        listed = await client.list_tools()
        want(len(listed.tools) == 5, "tools", listed)
        wrong = await client.call_tool("run_inference", {"modl": "face"})
        want(wrong.is_error and wrong.structured_content["error"]["code"] == "unknown_argument", "a tool error after list_tools", wrong)
        want((await works(client, "detect_hardware", {}))["best"] == "cpu", "best", "")
        want((await works(client, "fetch_model_cid", {"model": "face"}))["cid"], "cid", "")
        found = await works(client, "run_inference", {"model": "face", "inputs": [picture]})
        want([o["label"] for o in found["outputs"]] == ["face"], "outputs", found)

        steps = []

        async def told(progress, total, message):
            steps.append(progress)

        measured = await works(client, "run_benchmark", {"model": "face", "iterations": 100000, "duration_s": 1}, progress_callback=told)
        want(measured["results"][0]["samples"] > 0, "samples", measured)
        want(steps and steps == sorted(set(steps)), "progress", steps)

        answered = []
        with anyio.CancelScope() as scope:

            async def enough(progress, total, message):
                scope.cancel()

            answered.append(await client.call_tool("run_benchmark", {"model": "face", "iterations": 100000, "duration_s": 30}, progress_callback=enough))
        want(not answered and scope.cancelled_caught, "a cancelled call is answered", answered)
        want((await works(client, "query_results", {}))["rows"], "rows", "")
    print("all is well")


anyio.run(main)
