"""Users of a service, replayed: its held-out rows go to the gateway at a chosen rate.

    sluice replay SERVICE --rps 50 --seconds 60 [--users 500]

The loop is open: a request is sent when it was planned, whatever became of those before it, and
its time counts from the planned moment. What became of each answer is told later as feedback.
"""

import argparse
import asyncio
import os
import random
import signal
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from cli.output import EXIT_FAULT, exit_code, say, show_rows
from demo.caller import Audience, Caller, CallerAnswer, FeedbackPlan, plan_moments
from demo.held_out import HeldOut, read_held_out
from demo.tally import ReplayTally
from sluice.config.loading import load_service
from sluice.errors import SluiceError
from sluice.home import find_home

KEY = "SLUICE_API_KEY"
"""Environment variable of the key that is sent where the gateway asks for one."""
GATEWAY = "http://127.0.0.1:8080"


@dataclass(frozen=True)
class Plan:
    """What to replay: how fast, for how long, as whom, and what is told afterwards."""

    url: str
    service: str
    rps: float = 50.0
    seconds: float = 60.0
    users: int = 0
    poisson: bool = False
    telling: FeedbackPlan = field(default_factory=FeedbackPlan)
    seed: int = 1
    limit: float = 30.0
    """Seconds after which an answer is given up."""
    judged: bool = True
    """Whether an answer is right or wrong: classes are, numbers are not."""
    file: str = ""
    """Where what was counted is written as JSON; empty: nowhere."""


class Replay:
    """One run of a plan; `stop` ends it early."""

    def __init__(self, plan: Plan, held: HeldOut) -> None:
        self.tally = ReplayTally()
        self._plan, self._held = plan, held
        self._draw = random.Random(plan.seed)  # noqa: S311 - no secret hangs on it
        self._stopped = asyncio.Event()
        self._asked: set[asyncio.Task[None]] = set()
        self._telling: set[asyncio.Task[None]] = set()

    def stop(self) -> None:
        """Send nothing more; feedback that is not due yet is left out."""
        self._stopped.set()

    async def run(self) -> ReplayTally:
        """Send everything, wait for what is under way, and give what was counted."""
        import aiohttp

        key = os.environ.get(KEY, "")
        headers = {"content-type": "application/json", **({"x-api-key": key} if key else {})}
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(self._plan.limit),
            headers=headers,
        ) as session:
            plan = self._plan
            caller = Caller(session, plan.url, plan.service, self._held, self.tally)
            reporter = asyncio.create_task(self._report())
            try:
                await self._send(caller)
                await _finish(self._asked)
                await self._finish_telling()
            finally:
                reporter.cancel()
        return self.tally

    async def _send(self, caller: Caller) -> None:
        """Start each request at its moment, or at once where this client is behind."""
        plan, clock = self._plan, asyncio.get_running_loop().time
        audience = Audience(len(self._held.records), plan.users, plan.seed)
        start = clock()
        for offset in plan_moments(plan.rps, plan.seconds, plan.poisson, plan.seed):
            while (ahead := start + offset - clock()) > 0 and not self._stopped.is_set():
                await asyncio.sleep(min(ahead, 0.2))
            if self._stopped.is_set():
                return
            if ahead < -0.01:
                await asyncio.sleep(0)
            task = asyncio.create_task(self._ask(caller, audience, start + offset))
            self._asked.add(task)
            task.add_done_callback(self._asked.discard)

    async def _ask(self, caller: Caller, audience: Audience, planned: float) -> None:
        asker = audience.take()
        answered = await caller.ask(asker, planned)
        if answered is not None and self._draw.random() < self._plan.telling.share:
            task = asyncio.create_task(self._tell(caller, answered))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _tell(self, caller: Caller, answered: CallerAnswer) -> None:
        await asyncio.sleep(self._plan.telling.delay)
        await caller.tell(answered, self._plan.judged)

    async def _finish_telling(self) -> None:
        while self._telling and not self._stopped.is_set():
            await asyncio.wait(self._telling, timeout=0.2)
        self.tally.untold += len(self._telling)
        for task in self._telling:
            task.cancel()

    async def _report(self) -> None:
        second = 0
        while True:
            await asyncio.sleep(1)
            second += 1
            say(self.tally.take_line(second, self._plan.seconds))


async def _finish(tasks: "set[asyncio.Task[None]]") -> None:
    while tasks:
        await asyncio.wait(tasks)


async def run_plan(plan: Plan, held: HeldOut) -> ReplayTally:
    """Run a plan; the first SIGINT or SIGTERM ends it early, with what was counted."""
    run = Replay(plan, held)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, run.stop)
    return await run.run()


def parse_plan(arguments: list[str]) -> Plan:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="sluice replay", description=__doc__.partition("\n")[0], epilog=f"key: {KEY}"
    )
    parser.add_argument("service")
    parser.add_argument("--url", default=GATEWAY, help=f"of the gateway; else {GATEWAY}")
    parser.add_argument("--rps", type=float, default=50.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--users", type=int, default=0, help="few ask often; 0: each asks once")
    parser.add_argument("--poisson", action="store_true", help="independent callers, not even gaps")
    parser.add_argument("--feedback", type=float, default=1.0, help="share of answers, 0 to 1")
    parser.add_argument("--delay", type=float, default=2.0, help="of feedback, in seconds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", default="", help="file for what was counted")
    asked = parser.parse_args(arguments)
    if asked.rps <= 0 or asked.seconds <= 0 or asked.users < 0 or not 0 <= asked.feedback <= 1:
        parser.error("allowed: --rps and --seconds more than 0, --users 0 or more, --feedback 0-1")
    telling = FeedbackPlan(asked.feedback, max(asked.delay, 0.0))
    facts = (asked.rps, asked.seconds, asked.users, asked.poisson, telling, asked.seed)
    return Plan(asked.url.rstrip("/"), asked.service, *facts, file=asked.json)


def main(arguments: list[str] | None = None) -> int:
    """Replay; the exit code is 3 where nothing was answered."""
    plan = parse_plan(sys.argv[1:] if arguments is None else arguments)
    try:
        config = load_service(plan.service, os.environ.get("SLUICE_ENV") or "development")
        held = read_held_out(find_home(), config)
    except SluiceError as error:
        say(f"{type(error).__name__}: {error}")
        return exit_code(type(error).__name__)
    plan = replace(plan, judged=config.problem != "regression")
    say(f"{len(held.records):,} held-out rows of {plan.service} go to {plan.url}")
    tally = asyncio.run(run_plan(plan, held))
    show_rows(f"{plan.service}: {plan.rps:g} requests/s", tally.build_rows(plan.judged))
    for line in tally.conclude():
        say(line)
    if plan.file:
        Path(plan.file).write_text(tally.write_json(), encoding="utf-8")
    if not tally.answered:
        say(f"nothing was answered; next: `sluice serve`, and ask {plan.url}/readyz")
    return 0 if tally.answered else EXIT_FAULT


if __name__ == "__main__":
    sys.exit(main())
