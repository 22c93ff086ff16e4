"""Rollouts of a prompt's versions: equal ones and ones with a planted fault, one after the other.

`python -m benchmarks.prompts.rollout [--rollouts 20]`. Real flow, gateway and requests; the
provider answers over HTTP. An equal version must be promoted; one that fails, leaks an address,
answers late or costs three times as much must be stopped: rolled back, or paused for a person.
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from benchmarks.harness.results import Row, report
from cli.output import say
from cli.runs import open_terminal
from demo.watch import verify_log
from sluice.adapters.control.store import Control
from sluice.adapters.registry.client import Registry, open_registry
from sluice.config.rollout import PromptRolloutConfig, PromptRouteConfig
from sluice.control.command import Author
from sluice.home import PROJECT, find_home
from sluice.rollout.state import Phase, Verb

sys.path.insert(0, str(PROJECT / "tests"))

from support.gateway.callers import ask_prompt, run_load
from support.gateway.site import Running
from support.llm.answers import AskedRequest, FakeAnswer, refuse
from support.llm.live import PRODUCTION, PromptSite, run_prompts
from support.llm.provider import FakeProvider, run_provider
from support.rollouts.prompts import publish_two, write_policy

GOOD = FakeAnswer(input_tokens=50, output_tokens=7)
LEAK = FakeAnswer("Ask ann.smith@example.org.", input_tokens=50, output_tokens=7)
DEAR = FakeAnswer(input_tokens=500, output_tokens=60)
"""By the prices of the two models, 3.5 times what the champion's answer costs."""
EQUAL, FAULTS = "equal", ("errors", "leak", "dear")
STOPPED = (Verb.ROLL_BACK, Verb.PAUSE)
CALLERS, PAUSE, SECONDS, POLL = 6, 0.01, 600.0, 0.2
PERSON = Author("the benchmark", "it paused, or it holds", "benchmark")


@dataclass(frozen=True)
class PromptRolloutEnd:
    """How one rollout ended: the decision that stopped it if one did, and its duration."""

    kind: str
    phase: str
    stopped_by: str
    """The rule that rolled it back or paused it; empty where none did."""
    seconds: float
    steps: int
    """Decisions that were derived again from the log."""
    statuses: Counter[int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=20, help="of each kind")
    count = parser.parse_args().rollouts
    with tempfile.TemporaryDirectory() as folder, run_provider() as provider:
        rules = {"guardrails": {"output": {"pii": "mask"}}}
        # The provider shares this process with the flow: an answer may wait seconds for its turn.
        defaults = {"defaults": rules}
        site = PromptSite(Path(folder), provider, serving=defaults, limits=PRODUCTION)
        os.environ["SLUICE_HOME"] = str(site.home.root)
        for name in ("MLFLOW_TRACKING_URI", "SLUICE_CONTROL_URL"):
            os.environ.pop(name, None)
        with open_terminal(is_for_prompts=True), _use_settings(), run_prompts(site) as gateway:
            os.environ["SLUICE_GATEWAY_URLS"] = gateway.address
            policy = write_policy(Path(folder), history=5, least=8, longest=90)
            found = _run_all(PromptBench(site, gateway, provider, policy), count)
    endings = {kind: _list_endings(found, kind) for kind in (EQUAL, *FAULTS)}
    notes = {"callers": CALLERS, "endings": endings}
    report("prompt_rollout", list_rows(found), notes)


@contextmanager
def _use_settings() -> Iterator[None]:
    """Let the flow take the settings of the benchmark for every prompt."""
    from tasks.rollout.settings import PromptRollout

    settings = PromptRolloutConfig(route=PromptRouteConfig(assign_by="request"))
    with (
        patch("flows.rollout.load_rollout", lambda name: PromptRollout(name, settings)),
        patch("tasks.rollout.opening.WATCH_SECONDS", 5.0),
    ):
        yield


class PromptBench:
    """One gateway, provider and policy for all rollouts; each is of a prompt of its own."""

    def __init__(
        self, site: PromptSite, gateway: Running, provider: FakeProvider, policy: str
    ) -> None:
        self._site, self._gateway, self._provider = site, gateway, provider
        self._policy = policy
        self._registry: Registry = open_registry(find_home())

    @property
    def control(self) -> Control:
        """The control store."""
        return self._site.control

    def roll_out(self, name: str, kind: str) -> PromptRolloutEnd:
        """Roll out a version that is equal, or has the fault of this kind."""
        from flows.rollout import rollout

        publish_two(self._site, self._registry, name)
        self._provider.reset(_answer(kind))
        self._gateway.await_champion(name)
        ended = threading.Event()
        person = threading.Thread(target=self._answer_holds, args=(name, ended))
        with run_load([self._gateway.port], name, CALLERS, PAUSE, ask_prompt) as load:
            person.start()
            try:
                rollout(name, policy=self._policy, return_state=True)
            finally:
                ended.set()
                person.join()
        record = self.control.rollouts.list_rollouts(name)[-1]
        log = self.control.rollouts.read_log(name, record.number)
        stops = [(at, item) for at, item in log[1:] if item["decision"] in STOPPED]
        end = stops[0][0] if stops else log[-1][0]
        return PromptRolloutEnd(
            kind,
            record.state.phase.value,
            stops[0][1]["rule"] if stops else "",
            (end - log[0][0]).total_seconds(),
            verify_log(self.control, record),
            Counter(item.status for item in load.replies),
        )

    def _answer_holds(self, name: str, ended: threading.Event) -> None:
        """End a rollout that paused, or that has not ended in time."""
        from tasks.rollout.actions import command_rollout

        began = time.monotonic()
        while not ended.wait(POLL):
            found = self.control.rollouts.find_open(name)
            if found is None or not found.state.phase.is_staged:
                continue
            if found.state.phase is Phase.PAUSED or time.monotonic() - began > SECONDS:
                command_rollout(self.control, name, "abort", PERSON, lambda _: None)
                return


def _answer(kind: str) -> Any:
    """Return what the provider answers; the candidate's model is of the dialect of OpenAI."""
    bad = {EQUAL: GOOD, "errors": GOOD, "leak": LEAK, "dear": DEAR}[kind]

    def answer(asked: AskedRequest) -> FakeAnswer:
        if asked.dialect != "openai":
            return GOOD
        return refuse(401) if kind == "errors" and asked.question[-2] in "012345" else bad

    return answer


def _run_all(bench: PromptBench, count: int) -> list[PromptRolloutEnd]:
    found = []
    for number in range(count):
        for kind in (EQUAL, FAULTS[number % len(FAULTS)]):
            found.append(bench.roll_out(f"r{number}-{kind}", kind))
            one = found[-1]
            say(f"### {number + 1} of {count}, {kind}: {one.phase} {one.stopped_by}")
    return found


def _list_endings(found: Sequence[PromptRolloutEnd], kind: str) -> dict[str, int]:
    return dict(Counter(f"{one.phase} {one.stopped_by}" for one in found if one.kind == kind))


def list_rows(found: Sequence[PromptRolloutEnd]) -> list[Row]:
    """Return the figures with their targets."""
    equal = [one for one in found if one.kind == EQUAL]
    faulty = [one for one in found if one.kind != EQUAL]
    statuses = sum((one.statuses for one in found), Counter[int]())
    errors = statuses.total() - statuses[200]
    promoted = sum(one.phase == Phase.DONE for one in equal)
    stopped = sum(bool(one.stopped_by) for one in faulty)
    return [
        Row("equal: promoted", promoted, f"of {len(equal)}", len(equal), True),
        Row("equal: median time to the promotion", median(one.seconds for one in equal), "s"),
        Row("with a fault: stopped", stopped, f"of {len(faulty)}", len(faulty), True),
        Row("with a fault: median delay", median(one.seconds for one in faulty), "s"),
        Row("with a fault: longest delay", max(one.seconds for one in faulty), "s"),
        Row("errors at callers", errors, f"of {statuses.total()}", 0.0),
        Row("decisions derived again from the logs", sum(one.steps for one in found), ""),
    ]


if __name__ == "__main__":
    main()
