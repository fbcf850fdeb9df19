"""Drives claude-agent-sdk: python sdk.py SCENARIO START CWD. Prints each message of the SDK as a line of JSON.

START is a path (`cli_path`), `bundled` (the SDK's own claude), or `own` (the SDK's own through act-claude, as docs/sdk.md
describes).
"""

import dataclasses
import json
import sys
from pathlib import Path

import anyio
import claude_agent_sdk
from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient, StreamEvent, query

scenario, start, cwd = sys.argv[1:]

if start == "bundled":
    started = {}
elif start == "own":
    bundled = Path(claude_agent_sdk.__file__).parent / "_bundled" / "claude"
    started = {"cli_path": "act-claude", "env": {"ACT_CLAUDE_BIN": str(bundled)} if bundled.exists() else {}}
else:
    started = {"cli_path": start}


def show(value):
    if dataclasses.is_dataclass(value):
        value = {"type": type(value).__name__} | dataclasses.asdict(value)
    print(json.dumps(value, default=str), flush=True)


def options(**more):
    return ClaudeAgentOptions(cwd=cwd, stderr=lambda text: show({"stderr": text}), **started, **more)


async def once(prompt, **more):
    session = None
    async for message in query(prompt=prompt, options=options(**more)):
        show(message)
        session = getattr(message, "session_id", session)
    return session


async def turns():
    async with ClaudeSDKClient(options()) as client:
        for question in ["first", "second", "third"]:
            await client.query(question)
            async for message in client.receive_response():
                show(message)


async def interrupt():
    interrupted = False
    async with ClaudeSDKClient(options(include_partial_messages=True)) as client:
        for question in ["never end", "and now"]:
            await client.query(question)
            async for message in client.receive_response():
                show(message)
                # The answer has begun: its first words have arrived.
                begun = isinstance(message, StreamEvent) and message.event["type"] == "content_block_delta"
                if begun and not interrupted:
                    interrupted = True
                    await client.interrupt()


async def resume():
    session = await once("remember this")
    await once("what was it", resume=session)


async def main():
    try:
        await {"once": lambda: once("one question"), "turns": turns, "interrupt": interrupt, "resume": resume}[scenario]()
    except Exception as error:
        show({"error": str(error)})


anyio.run(main)
