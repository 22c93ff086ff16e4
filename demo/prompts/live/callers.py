"""`python -m demo.prompts.live.callers`: callers of a prompt, at a steady rate, until SIGTERM.

Each asks one ticket, and rates the answer: below zero where it is a refusal, or too long to read.
"""

import argparse
import asyncio
import itertools
import json
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp

from demo.prompts.live.tickets import write_live
from demo.prompts.live.world import TEXT_LIMIT, read_tickets
from sluice.adapters.storage import write_whole

TICKETS, SEED = 5000, 7
REPORT_SECONDS = 0.5


class PromptCallers:
    """Sends requests at their planned times; counts are written to a file twice a second."""

    def __init__(self, url: str, prompt: str, file: Path) -> None:
        self._url, self._prompt, self._file = url, prompt, file
        self._tasks: set[asyncio.Task[None]] = set()
        self._counts: Counter[str] = Counter()
        self.sources: dict[tuple[str, int], Counter[str]] = {}
        self.ended = asyncio.Event()

    async def run(self, rate: float, tickets: list[str]) -> None:
        """Send so many requests a second until the end."""
        clock = asyncio.get_running_loop().time
        started, written = clock(), 0.0
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30)) as session:
            for number, ticket in enumerate(itertools.cycle(tickets)):
                while (ahead := started + number / rate - clock()) > 0 and not self.ended.is_set():
                    await asyncio.sleep(min(ahead, 0.1))
                if self.ended.is_set():
                    break
                task = asyncio.create_task(self._ask(session, number, ticket))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                if clock() - written > REPORT_SECONDS:
                    written = clock()
                    self.write()
                await asyncio.sleep(0)
            await asyncio.gather(*self._tasks, return_exceptions=True)
        self.write()

    async def _ask(self, session: aiohttp.ClientSession, number: int, ticket: str) -> None:
        self._counts["sent"] += 1
        body = {"variables": {"ticket": ticket}, "unit": f"user-{number % 400}"}
        try:
            url = f"{self._url}/v1/prompts/{self._prompt}"
            async with session.post(url, json=body) as reply:
                found: dict[str, Any] = await reply.json()
            if "text" not in found:
                self._counts[f"status {reply.status}"] += 1
                return
            is_good = self._note(found)
            rating = {"request_id": found["request_id"], "rating": 1 if is_good else -1}
            rating["service"] = self._prompt
            async with session.post(f"{self._url}/v1/feedback", json=rating):
                pass
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self._counts[type(error).__name__] += 1

    def _note(self, found: dict[str, Any]) -> bool:
        """Count an answer; return whether its caller is content with it."""
        text = found["text"]
        is_good = "sorry" not in text and len(text) < TEXT_LIMIT
        source = self.sources.setdefault((found["arm"], found["version"]), Counter())
        source["answers"] += 1
        source["right"] += is_good
        source["addresses"] += "@" in text
        return is_good

    def write(self) -> None:
        """Write the counts."""
        sources = [
            {"arm": arm, "version": version, **counts}
            for (arm, version), counts in sorted(self.sources.items())
        ]
        errors = {name: n for name, n in self._counts.items() if name != "sent"}
        values = {"sent": self._counts["sent"], "errors": errors, "sources": sources}
        write_whole({self._file: json.dumps(values)})


async def call(url: str, prompt: str, rate: float, file: Path) -> None:
    """Ask until SIGTERM."""
    callers = PromptCallers(url, prompt, file)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, callers.ended.set)
    await callers.run(rate, write_live(read_tickets(), TICKETS, SEED))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="demo.prompts.live.callers")
    parser.add_argument("--url", required=True)
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--rps", type=float, required=True)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(call(arguments.url, arguments.prompt, arguments.rps, arguments.json))
