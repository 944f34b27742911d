"""How near a run against a server comes to what a perfect scheduler could do, and what a call costs the client.

A server that takes 150 ms and 5 ms a token runs in a process of its own; 128 problems of different length are solved
with 64 in flight, through the `openai` backend. What a perfect scheduler could do with the same problems in the same
order is computed from the server's times alone: whenever a problem ends the next begins, at no cost. Beside it stand
the time that no order of problems could beat, and the CPU time of a call through the SDK's `chat.completions.create`.

    python benchmarks/orchestration.py --output benchmarks/results/orchestration.json
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import heapq
import json
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hierarchical_reasoning.assembly import assemble
from hierarchical_reasoning.backends import make_backends
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.runner import execute, open_journal
from hierarchical_reasoning.trace import FINISH
from llm_backends.scripted_server import Call, ScriptedServer, choice_text

FIRST_S, PER_TOKEN_S = 0.150, 0.005
SDK_CALLS = 200


def reply(call: Call) -> str:
    """Three to seven thoughts of 20 to 80 tokens, then an answer; how many depends on the problem."""
    draw = hashlib.sha256(call.messages[0][1].encode()).digest()
    said = sum(role == "assistant" for role, _ in call.messages)
    if call.choices is not None:
        finished = said // 2 >= 3 + draw[0] % 5
        return choice_text(call, FINISH if finished else call.choices[said % (len(call.choices) - 1)])
    return " ".join(["word"] * (20 + draw[1 + said % 8] % 61))


def serve(pipe: Connection) -> None:
    """Serve until the pipe says so."""
    with ScriptedServer(reply, models=("scripted",), first_s=FIRST_S, per_token_s=PER_TOKEN_S) as server:
        pipe.send(server.base_url)
        pipe.recv()
        pipe.send(server.max_in_flight)


def perfect_schedule(seconds: Sequence[float], in_flight: int) -> float:
    """When the last of the problems ends, each of which takes so long and begins as soon as there is room for it."""
    ends = [0.0] * in_flight
    for taken in seconds:
        heapq.heapreplace(ends, ends[0] + taken)
    return max(ends)


async def measure(base_url: str, n_problems: int, in_flight: int, cache_dir: Path) -> dict[str, Any]:
    """Solve the problems; connections are warm, as in the steady state of a longer run."""
    config = RunConfig(
        llm_framework="openai",
        model_name="scripted",
        base_url=base_url,
        n_rows=n_problems,
        max_concurrency=in_flight,
        num_icl_examples=0,
        cache_dir=cache_dir,
    )
    run = assemble(config)
    journal, _ = open_journal(run, resume=False)
    with journal:
        async with make_backends(config) as backends:
            await backends.check_models()
            started, cpu = time.perf_counter(), time.process_time()
            finished = await execute(run, backends, journal, Observer())
            wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    served = [
        sum(used.calls * FIRST_S + used.completion_tokens * PER_TOKEN_S for used in entry.usage.values())
        for entry in finished.results.results
    ]
    calls = sum(used.calls for used in finished.results.summary.usage.values())
    perfect = perfect_schedule(served, in_flight)
    return {
        "problems": n_problems,
        "in_flight": in_flight,
        "calls": calls,
        "wall_s": round(wall, 2),
        "perfect_s": round(perfect, 2),
        "wall_over_perfect": round(wall / perfect, 3),
        "no_order_beats_s": round(max(max(served), sum(served) / in_flight), 2),
        "one_after_another_s": round(sum(served), 1),
        "times_as_fast": round(sum(served) / wall, 1),
        "client_cpu_ms_per_call": round(1000 * cpu / calls, 2),
    }


async def sdk_cpu_ms(base_url: str) -> float:
    """CPU milliseconds of one call through the SDK's usual way."""
    import openai

    async with openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
        cpu = time.process_time()
        await asyncio.gather(
            *(
                client.chat.completions.create(
                    model="scripted", messages=[{"role": "user", "content": f"What is {n} + 1?"}]
                )
                for n in range(SDK_CALLS)
            )
        )
        return 1000 * (time.process_time() - cpu) / SDK_CALLS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=128)
    parser.add_argument("--in_flight", type=int, default=64)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,))
    server.start()
    base_url = ours.recv()
    with tempfile.TemporaryDirectory() as directory:
        found = asyncio.run(measure(base_url, arguments.problems, arguments.in_flight, Path(directory)))
    found["sdk_create_cpu_ms_per_call"] = round(asyncio.run(sdk_cpu_ms(base_url)), 2)
    ours.send("stop")
    found["most_in_flight_at_the_server"] = ours.recv()
    server.join()
    print(json.dumps(found, indent=2))
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
