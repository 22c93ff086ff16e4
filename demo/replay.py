"""Replay of a service's traffic: its held-out rows go to the gateway at a chosen rate.

    sluice replay SERVICE --rps 50 --seconds 60 [--users 500] [--rows FILE]

The loop is open: each request is sent at its planned time, whatever happened to the requests
before it, and its response time counts from that time. The true outcomes follow as feedback.
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
from demo.caller import Caller, CallerAnswer, FeedbackPlan, RequestStream, plan_times
from demo.held_out import HeldOut, read_held_out, read_lines
from demo.tally import ReplayTally
from sluice.adapters.addresses import find_gateways
from sluice.config.loading import load_gateway, load_service
from sluice.errors import SluiceError
from sluice.home import environment_name, find_home

KEY = "SLUICE_API_KEY"
"""Environment variable of the API key, for a gateway that needs one."""


@dataclass(frozen=True)
class ReplayPlan:
    """The options of a replay: rate, duration, users and feedback."""

    url: str
    service: str
    rps: float = 50.0
    seconds: float = 60.0
    users: int = 0
    poisson: bool = False
    feedback: FeedbackPlan = field(default_factory=FeedbackPlan)
    seed: int = 1
    timeout: float = 30.0
    """Seconds that an answer may take."""
    scored: bool = True
    """Whether an answer is right or wrong: true for classes, false for numbers."""
    file: str = ""
    """JSON file for the counts; empty: none."""
    rows: str = ""
    """File of the rows to send; empty: the service's held-out rows."""


class Replay:
    """One run of a plan; `stop` ends it early."""

    def __init__(self, plan: ReplayPlan, held: HeldOut) -> None:
        self.tally = ReplayTally()
        self._plan, self._held = plan, held
        self._draw = random.Random(plan.seed)  # noqa: S311 - no secret depends on it
        self._stopped = asyncio.Event()
        self._requests: set[asyncio.Task[None]] = set()
        self._feedback: set[asyncio.Task[None]] = set()

    def stop(self) -> None:
        """Stop sending; feedback that is not due yet is dropped."""
        self._stopped.set()

    async def run(self) -> ReplayTally:
        """Send everything, wait for open requests, and return the counts."""
        import aiohttp

        key = os.environ.get(KEY, "")
        headers = {"content-type": "application/json", **({"x-api-key": key} if key else {})}
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(self._plan.timeout),
            headers=headers,
        ) as session:
            plan = self._plan
            caller = Caller(session, plan.url, plan.service, self._held, self.tally)
            reporter = asyncio.create_task(self._report())
            try:
                await self._send(caller)
                await _finish(self._requests)
                await self._finish_feedback()
            finally:
                reporter.cancel()
        return self.tally

    async def _send(self, caller: Caller) -> None:
        """Start each request at its planned time, or at once where this client is behind."""
        plan, clock = self._plan, asyncio.get_running_loop().time
        requests = RequestStream(len(self._held.records), plan.users, plan.seed)
        start = clock()
        for offset in plan_times(plan.rps, plan.seconds, plan.poisson, plan.seed):
            while (ahead := start + offset - clock()) > 0 and not self._stopped.is_set():
                await asyncio.sleep(min(ahead, 0.2))
            if self._stopped.is_set():
                return
            if ahead < -0.01:
                await asyncio.sleep(0)
            task = asyncio.create_task(self._request(caller, requests, start + offset))
            self._requests.add(task)
            task.add_done_callback(self._requests.discard)

    async def _request(self, caller: Caller, requests: RequestStream, planned: float) -> None:
        answer = await caller.send(requests.take(), planned)
        if answer is not None and self._draw.random() < self._plan.feedback.share:
            task = asyncio.create_task(self._send_feedback(caller, answer))
            self._feedback.add(task)
            task.add_done_callback(self._feedback.discard)

    async def _send_feedback(self, caller: Caller, answer: CallerAnswer) -> None:
        await asyncio.sleep(self._plan.feedback.delay)
        await caller.send_feedback(answer, self._plan.scored)

    async def _finish_feedback(self) -> None:
        while self._feedback and not self._stopped.is_set():
            await asyncio.wait(self._feedback, timeout=0.2)
        self.tally.feedback_lost += len(self._feedback)
        for task in self._feedback:
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


async def run_plan(plan: ReplayPlan, held: HeldOut) -> ReplayTally:
    """Run a plan and return the counts; the first SIGINT or SIGTERM ends it early."""
    run = Replay(plan, held)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, run.stop)
    return await run.run()


def parse_plan(arguments: list[str]) -> ReplayPlan:
    """Return the plan of a command line."""
    parser = argparse.ArgumentParser(
        prog="sluice replay", description=__doc__.partition("\n")[0], epilog=f"key: {KEY}"
    )
    parser.add_argument("service")
    parser.add_argument("--url", default="", help="address of the gateway; else this stack's")
    parser.add_argument("--rps", type=float, default=50.0, help="requests per second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--users", type=int, default=0, help="0: each request is from a new user")
    parser.add_argument("--poisson", action="store_true", help="random gaps, not even ones")
    parser.add_argument("--feedback", type=float, default=1.0, help="share of answers, 0 to 1")
    parser.add_argument("--delay", type=float, default=2.0, help="seconds from answer to feedback")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", default="", help="file for the counts")
    parser.add_argument(
        "--rows", default="", help="lines of JSON: inputs, label; else held-out rows"
    )
    options = parser.parse_args(arguments)
    valid = options.rps > 0 and options.seconds > 0 and options.users >= 0
    if not valid or not 0 <= options.feedback <= 1:
        parser.error("allowed: --rps and --seconds more than 0, --users 0 or more, --feedback 0-1")
    return ReplayPlan(
        url=options.url.rstrip("/")
        or find_gateways(find_home(), load_gateway(environment_name()))[0],
        service=options.service,
        rps=options.rps,
        seconds=options.seconds,
        users=options.users,
        poisson=options.poisson,
        feedback=FeedbackPlan(options.feedback, max(options.delay, 0.0)),
        seed=options.seed,
        file=options.json,
        rows=options.rows,
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit code is 3 where no request was answered."""
    plan = parse_plan(sys.argv[1:] if arguments is None else arguments)
    try:
        config = load_service(plan.service, environment_name())
        held = read_lines(Path(plan.rows)) if plan.rows else read_held_out(find_home(), config)
    except SluiceError as error:
        say(f"{type(error).__name__}: {error}")
        return exit_code(type(error).__name__)
    plan = replace(plan, scored=config.problem != "regression")
    kind = "rows" if plan.rows else "held-out rows"
    say(f"{len(held.records):,} {kind} of {plan.service} go to {plan.url}")
    tally = asyncio.run(run_plan(plan, held))
    show_rows(f"{plan.service}: {plan.rps:g} requests/s", tally.build_rows(plan.scored))
    for line in tally.conclude():
        say(line)
    if plan.file:
        Path(plan.file).write_text(tally.write_json(), encoding="utf-8")
    if not tally.answered:
        say(f"no request was answered; next: `sluice serve`, then look at {plan.url}/readyz")
    return 0 if tally.answered else EXIT_FAULT


if __name__ == "__main__":
    sys.exit(main())
