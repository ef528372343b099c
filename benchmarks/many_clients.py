"""Many clients of one service: throughput, time to the first token, refusals, memory, and the event loop.

    python benchmarks/many_clients.py QUESTIONS.jsonl --data-dir FOLDER --out RUN.json [--route ask|chat]
        [--clients 1,8] [--rounds 2] [--crowd 64] [--pairs 4] [--new-tokens 48] [--seed 5]
        [--instead "Write a long text about it."]

QUESTIONS.jsonl is what `benchmarks/grounded_prompts.py` writes with the same FOLDER, whose documents are asked about.
`ask` sends the questions to /v1/ask (retrieval, answer, verification); `chat` sends the prompts themselves to
/v1/chat/completions, each with a number of its own at its beginning, so that nothing of it was ever read before.

The clients live in a process of their own and ask one request after the other, streamed; all begin at once. The
clients of `--crowd` ask once each, together. `--pairs` prompts are given to the decoder directly and through HTTP in
turn. A watchdog on the service's event loop sleeps 5 ms again and again, and notes how late it wakes, and how much
processor time the loop's own thread took meanwhile: the rest is the machine's. The CITEBOUND_… settings hold.
"""

import argparse
import asyncio
import contextlib
import json
import pathlib
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
from ready import ready_service

from api import serve
from api.settings import load_settings
from llm.types import Generation, Message, Request, SamplingParams, Token

NAP_SECONDS = 0.005
MIB = 1 << 20


class Watchdog:
    """The application, and a task on its loop that notes how late it wakes."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.late: list[float] = []
        self.busy: list[float] = []  # processor seconds of the loop's thread in each nap
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve; the task begins with the first request."""
        self._task = self._task or asyncio.get_running_loop().create_task(self._watch())
        await self.app(scope, receive, send)

    async def _watch(self) -> None:
        while True:
            began, used = time.perf_counter(), time.thread_time()
            await asyncio.sleep(NAP_SECONDS)
            self.late.append(time.perf_counter() - began - NAP_SECONDS)
            self.busy.append(time.thread_time() - used)


def main() -> None:
    """Measure, or be the clients."""
    if sys.argv[1:2] == ["clients"]:
        print(json.dumps(asyncio.run(ask_all(json.load(sys.stdin)))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", type=pathlib.Path)
    parser.add_argument("--data-dir", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--route", choices=("ask", "chat"), default="ask")
    parser.add_argument("--clients", default="1,8")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--crowd", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--new-tokens", type=int, default=48)
    parser.add_argument("--instead", help="for chat: asked in place of the question")
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    rows = [json.loads(line) for line in args.questions.read_text("utf-8").splitlines()]
    if args.instead:
        for row in rows:
            passages = row["messages"][-1]["content"].rpartition("Question:")[0]
            row["messages"] = [{"role": "user", "content": f"{passages}{args.instead}"}]
    random.Random(args.seed).shuffle(rows)
    watchdogs: list[Watchdog] = []
    build = serve.build_app

    def watched(parts: Any) -> Any:
        watchdogs.append(Watchdog(build(parts)))
        return watchdogs[-1]

    serve.build_app = watched
    with ready_service(load_settings(data_dir=args.data_dir, port=0)) as (service, _):
        info = service.parts.decoder.get().info
        bodies = body_maker(args, rows, info.name)
        result: dict[str, Any] = {
            "command": " ".join(["python", "benchmarks/many_clients.py", *sys.argv[1:]]),
            "model": info.name,
            "engine": info.engine,
            "dtype": info.dtype,
            "route": args.route,
            "settings": {
                name: getattr(service.parts.settings, name)
                for name in ("max_running_questions", "max_waiting_questions")
            },
        }
        measure(service, args, [next(bodies) for _ in range(2)], 1)  # kernels are made with the first requests
        result["overhead"] = overhead(service, args, rows) if args.pairs else None
        result["phases"] = []
        for n_clients in [int(number) for number in args.clients.split(",")]:
            n_requests = 2 * args.rounds if n_clients == 1 else n_clients * args.rounds
            phase = measured(service, watchdogs[0], args, [next(bodies) for _ in range(n_requests)], n_clients)
            result["phases"].append(phase)
            print(json.dumps(phase), file=sys.stderr, flush=True)
        if args.crowd:
            phase = measured(service, watchdogs[0], args, [next(bodies) for _ in range(args.crowd)], args.crowd)
            result["crowd"] = phase
    args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result))


def body_maker(args: argparse.Namespace, rows: list[dict[str, Any]], model: str) -> Iterator[dict[str, Any]]:
    """Requests without end; no two alike."""
    number = 0
    while True:
        row = rows[number % len(rows)]
        number += 1
        if args.route == "ask":
            yield {
                "question": row["messages"][-1]["content"].rpartition("Question:")[2].strip(),
                "collection": "grounded prompts",
                "sampling": {"max_new_tokens": args.new_tokens},
                "stream": True,
            }
        else:
            yield {
                "model": model,
                "messages": numbered(row["messages"], args.seed * 1000 + number),
                "max_tokens": args.new_tokens,
                "stream": True,
            }


def numbered(messages: list[dict[str, str]], number: int) -> list[dict[str, str]]:
    """The prompt with a number at its beginning: no engine has read it before."""
    return [{**messages[0], "content": f"Request {number}. {messages[0]['content']}"}, *messages[1:]]


def measured(
    service: serve.Running, watchdog: Watchdog, args: argparse.Namespace, bodies: list[dict[str, Any]], n_clients: int
) -> dict[str, Any]:
    """One phase with its figures, the loop's lateness and the memory among them."""
    watchdog.late.clear()
    watchdog.busy.clear()
    with peak_memory() as memory:
        rows, seconds = measure(service, args, bodies, n_clients)
    late = sorted(watchdog.late)
    done = [row for row in rows if row["status"] == 200]
    first = sorted(row["first"] for row in done if row["first"] is not None)
    return {
        "clients": n_clients,
        "requests": len(rows),
        "statuses": {
            str(status): sum(row["status"] == status for row in rows) for status in {r["status"] for r in rows}
        },
        "retry_after": sorted({row["retry_after"] for row in rows if row["retry_after"] is not None}),
        "seconds": round(seconds, 2),
        "answers_per_second": round(len(done) / seconds, 3),
        "text_events_per_second": round(sum(row["n_texts"] for row in done) / seconds, 1),
        "first_token_median": round(statistics.median(first), 3) if first else None,
        "first_token_p95": round(percentile(first, 0.95), 3) if first else None,
        "whole_median": round(statistics.median(row["whole"] for row in done), 3) if done else None,
        "loop_late_ms": {
            "median": round(1000 * statistics.median(late), 2),
            "p99": round(1000 * percentile(late, 0.99), 2),
            "max": round(1000 * late[-1], 1),
            "max_of_its_own_work": round(1000 * max(watchdog.busy), 1),
            "over_50": sum(value > 0.05 for value in late),
            "naps": len(late),
        },
        "memory_mib": {"before": round(memory["before"] / MIB), "peak": round(memory["peak"] / MIB)},
    }


def measure(
    service: serve.Running, args: argparse.Namespace, bodies: list[dict[str, Any]], n_clients: int
) -> tuple[list[dict[str, Any]], float]:
    """Let the clients ask; their rows, and the seconds from the first request to the last answer."""
    path = "/v1/ask" if args.route == "ask" else "/v1/chat/completions"
    plan = {"url": service.address + path, "clients": [bodies[number::n_clients] for number in range(n_clients)]}
    done = subprocess.run(
        [sys.executable, __file__, "clients"], input=json.dumps(plan), stdout=subprocess.PIPE, text=True, check=True
    )
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows, max(row["end"] for row in rows) - min(row["begin"] for row in rows)


async def ask_all(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Every client at once, each one request after the other."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=600, limits=limits, trust_env=False) as http:

        async def client(bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return [await ask_one(http, plan["url"], body) for body in bodies]

        return [row for rows in await asyncio.gather(*map(client, plan["clients"])) for row in rows]


async def ask_one(http: httpx.AsyncClient, url: str, body: dict[str, Any]) -> dict[str, Any]:
    """One request: its status, and when its first token and its end came."""
    begin, first, n_texts = time.perf_counter(), None, 0
    async with http.stream("POST", url, json=body) as response:
        event = ""
        async for line in response.aiter_lines():
            if line.startswith("event: "):
                event = line.removeprefix("event: ")
            is_text = event == "token" or ('"content":"' in line and '"content":""' not in line)
            if line.startswith("data: ") and is_text:
                first = first or time.perf_counter() - begin
                n_texts += 1
        if event == "error":
            raise RuntimeError("the stream ended with an error")
    end = time.perf_counter()
    return {
        "status": response.status_code,
        "retry_after": response.headers.get("retry-after"),
        "begin": begin,
        "end": end,
        "first": first,
        "whole": end - begin,
        "n_texts": n_texts,
    }


def overhead(service: serve.Running, args: argparse.Namespace, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What HTTP adds to an answer of the decoder: the same prompt directly and through the service, in turn."""
    decoder = service.parts.decoder.get()
    direct, served = [], []
    with httpx.Client(timeout=600, trust_env=False) as http:
        for pair in range(args.pairs + 1):
            row = rows[-1 - pair]
            for through_http in (pair % 2 == 0, pair % 2 == 1):
                messages = numbered(row["messages"], args.seed * 100_000 + 2 * pair + through_http)
                took = (
                    time_served(http, service.address, decoder.info.name, messages, args.new_tokens)
                    if through_http
                    else time_direct(decoder, messages, args.new_tokens)
                )
                if pair:  # the first makes connections and kernels
                    (served if through_http else direct).append(took)
    names = ("first_token", "whole")
    added = {
        name: [round(1000 * (a[index] - b[index]), 1) for a, b in zip(served, direct, strict=True)]
        for index, name in enumerate(names)
    }
    return {
        "added_ms": added,
        "median_added_ms": {name: round(statistics.median(values), 1) for name, values in added.items()},
        "direct_seconds": [round(took[1], 3) for took in direct],
    }


def time_direct(decoder: Any, messages: list[dict[str, str]], n_new: int) -> tuple[float, float]:
    """Seconds to the first token and to the end."""
    request = Request(
        messages=tuple(Message(role=row["role"], content=row["content"]) for row in messages),  # type: ignore[arg-type]
        sampling=SamplingParams(max_new_tokens=n_new),
    )
    began, first = time.perf_counter(), 0.0
    for event in decoder.stream(request):
        if isinstance(event, Token) and not first:
            first = time.perf_counter() - began
        assert isinstance(event, Token | Generation)
    return first, time.perf_counter() - began


def time_served(
    http: httpx.Client, address: str, model: str, messages: list[dict[str, str]], n_new: int
) -> tuple[float, float]:
    """The same through HTTP."""
    body = {"model": model, "messages": messages, "max_tokens": n_new, "stream": True}
    began, first = time.perf_counter(), 0.0
    with http.stream("POST", f"{address}/v1/chat/completions", json=body) as response:
        response.raise_for_status()
        for line in response.iter_lines():
            if not first and '"content":"' in line and '"content":""' not in line:
                first = time.perf_counter() - began
    return first, time.perf_counter() - began


@contextlib.contextmanager
def peak_memory() -> Iterator[dict[str, int]]:
    """Resident bytes of this process before, and their peak, looked at every 50 ms."""
    found = {"before": resident(), "peak": resident()}
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            found["peak"] = max(found["peak"], resident())

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def resident() -> int:
    """Resident bytes of this process."""
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096


def percentile(values: list[float], share: float) -> float:
    """The smallest of sorted values that `share` of them do not exceed."""
    return values[min(len(values) - 1, int(share * len(values)))]


if __name__ == "__main__":
    main()
