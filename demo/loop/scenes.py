"""The world of a story while it is played: callers, and what the control store and the log say."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cli.output import report_waiting, say
from demo.loop.people import write_rows
from demo.loop.stories import Story
from demo.loop.world import SERVICE
from demo.stack import CallerOptions, run_callers, wait_for_champion
from demo.watch import HELD_PHASES
from sluice.adapters.control.store import prepare_control
from sluice.adapters.server.record import StackRecord
from sluice.adapters.traffic.log import read_log
from sluice.config.loading import load_service
from sluice.control.retraining_event import unpack_payload
from sluice.control.timeline import RELEASE, TimelineEntry
from sluice.drift.performance.comparison import describe_change
from sluice.drift.performance.windows import WindowVerdict, read_verdict
from sluice.errors import Fault, ServerUnavailable
from sluice.home import Home, environment_name
from sluice.report.timeline import RUN
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import Verb

if TYPE_CHECKING:
    import pandas as pd

RPS, FEEDBACK = 150.0, 0.95
"""Requests per second that two cores can serve beside the rest; share of answers with a label."""
SECONDS, POLL_SECONDS = 300.0, 0.5
MOST_WINDOWS = 20


class Loop:
    """The world of a story while it is played."""

    def __init__(self, home: Home, stack: StackRecord, story: Story) -> None:
        self.home, self.stack, self.story = home, stack, story
        self.config = load_service(SERVICE, environment_name())
        self.control = prepare_control(home)
        self._began = time.monotonic()

    @property
    def champion(self) -> int:
        """The version that serves; 0: none does."""
        route = self.control.routes.find(SERVICE)
        return route.champion if route else 0

    def tell(self, words: str) -> None:
        """Print what happened, with the seconds since the stack was up."""
        say(f"{time.monotonic() - self._began:5.0f} s  {words}")

    @contextmanager
    def send(self, rows: "pd.DataFrame", name: str, feedback: float = FEEDBACK) -> Iterator[None]:
        """Let callers send rows, and the labels of a share of them two seconds later."""
        path = self.home.root / f"{name}.jsonl"
        count = write_rows(rows, self.config, path)
        self.tell(f"callers ask about {count:,} {name}, {RPS:g} requests a second")
        options = CallerOptions(SERVICE, RPS, feedback, rows=str(path))
        with run_callers(self.home, self.stack.gateway, options):
            yield

    def wait(self, subject: str, question: Callable[[], Any], seconds: float = SECONDS) -> Any:
        """Repeat a question until it has an answer, and return it.

        Something outside that does not answer now is asked again.

        Raises:
            ServerUnavailable: it has none in time.
        """
        deadline, problem = time.monotonic() + seconds, ""
        with report_waiting(subject):
            while True:
                try:
                    if answer := question():
                        return answer
                    problem = ""
                except Fault as error:
                    problem = f" ({type(error).__name__}: {error})"
                if time.monotonic() > deadline:
                    raise ServerUnavailable(
                        f"{subject}: not within {seconds:.0f} s{problem}; look at "
                        f"{self.stack.prefect}/runs and {self.home.logs / 'worker.log'}"
                    )
                time.sleep(POLL_SECONDS)

    def list_releases(self) -> list[TimelineEntry]:
        """Return the releases that ended, oldest first."""
        found = self.control.timeline.list_entries(SERVICE)
        return [item for item in reversed(found) if item.action == RELEASE]

    def await_release(self, number: int) -> TimelineEntry:
        """Wait for the end of the release of a number, counted from 1, and tell it."""
        found: TimelineEntry = self.wait(
            "the release, which an event starts", lambda: self.list_releases()[number - 1 :]
        )[0]
        self.tell(f"release, because of {found.reason}: {found.message}")
        if run := RUN.search(found.origin):
            self.tell_verdicts(run[0])
        return found

    def tell_verdicts(self, run: str) -> None:
        """Tell what each gate of a release found; `run` is the id of its flow run."""
        from tasks.release.recording import find_verdicts

        for verdict in find_verdicts(SERVICE, run)[0]:
            self.tell(f"  {verdict.gate} gate: {verdict.outcome}: {verdict.reason}")

    def await_promotion(self, number: int, version: int) -> bool:
        """Wait for the end of a rollout, and tell its decisions; return whether its version serves.

        `number` counts the rollouts from 1.
        """
        record = self.wait("the rollout", _RolloutTelling(self, number).find_end)
        self.tell(f"rollout of v{record.candidate}: {record.state.phase}, {record.state.reason}")
        serves = self.champion == version
        if serves:
            wait_for_champion(self.home, self.stack.gateway, SERVICE, version)
            self.tell(f"v{version} serves")
        return serves

    def find_run(self, deployment: str, event: str, kind: str) -> Any:
        """Return the ended run of a deployment that an event of a kind started; None: none yet."""
        from prefect.client.orchestration import get_client
        from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName

        wanted = DeploymentFilter(name=DeploymentFilterName(any_=[deployment]))
        with get_client(sync_client=True) as client:
            runs = client.read_flow_runs(deployment_filter=wanted)
        for run in runs:
            payload = unpack_payload(run.parameters.get("payload") or {})
            about = (run.parameters.get("event"), payload.get("kind"))
            if about == (event, kind) and run.state and run.state.is_final():
                return run
        return None

    def count_labels(self, version: int, since: datetime) -> int:
        """Return the number of labelled answers of a version in the log since a moment."""
        import pyarrow.dataset as ds

        answers = read_log(self.home.answers(SERVICE), ["request_id"], _is_answer(version, since))
        labels = read_log(self.home.feedback, ["request_id"], ds.field("label").is_valid())
        if answers is None or labels is None:
            return 0
        return int(answers.join(labels, "request_id", join_type="inner").num_rows)

    def await_labels(self, version: int, since: datetime, count: int) -> None:
        """Wait for so many labelled answers of a version, and until they may be judged."""
        self.wait(f"{count:,} labels", lambda: self.count_labels(version, since) >= count)
        with report_waiting("the labels are settling"):
            time.sleep(self.config.performance.settle_seconds)

    def judge_performance(self, version: int) -> list[WindowVerdict]:
        """Run `monitor`, which is due each five minutes, and return the windows of a version."""
        from flows.monitor import monitor

        monitor(SERVICE, return_state=True)
        windows = self.control.performance.list_last(SERVICE, version, MOST_WINDOWS)
        return [read_verdict(item.verdict) for item in reversed(windows)]

    def watch(self) -> str:
        """Run `watch`, which is due each five minutes; tell what it did, and return it."""
        from flows.watch import watch

        state = watch(SERVICE, return_state=True)
        for words in str(state.message).split(f"; {SERVICE}: "):
            self.tell(f"watch: {words}")
        return str(state.message)


class _RolloutTelling:
    """Tells each decision of a rollout once, from its decision log."""

    def __init__(self, loop: Loop, number: int) -> None:
        self._loop, self._number, self._told = loop, number, 0
        self._held = ""

    def find_end(self) -> RolloutRecord | None:
        """Tell the decisions that are new; return the rollout if it has ended."""
        rollouts = self._loop.control.rollouts
        found = rollouts.list_rollouts(SERVICE)
        if len(found) < self._number:
            return None
        record = found[self._number - 1]
        made = [item for _, item in rollouts.read_log(SERVICE, record.number)[1:]]
        decisions = [item for item in made if item["decision"] != Verb.HOLD]
        for item in decisions[self._told :]:
            at = f"{item['decision']}, {item['weight']:.0%} of traffic"
            self._loop.tell(f"  {at}: {item['reason']}")
        self._told = len(decisions)
        held = record.state.phase.value if record.state.phase in HELD_PHASES else ""
        if held and held != self._held:
            self._loop.tell(f"  {held}: {record.state.reason}")
        self._held = held
        return record if record.settled else None


def describe_window(verdict: WindowVerdict) -> str:
    """Return what one window of labels shows, beside the figures of the release."""
    primary, loss = verdict.primary, verdict.loss
    figures = describe_change(primary.name, primary.baseline, primary.value, primary.n)
    losses = describe_change(loss.name, loss.baseline, loss.value, loss.n)
    return f"{'ALARM' if verdict.alarm else 'no alarm'}: {figures}; {losses}"


def _is_answer(version: int, since: datetime) -> Any:
    import pyarrow as pa
    import pyarrow.dataset as ds

    moment = pa.scalar(since, pa.timestamp("us", tz="UTC"))
    return (ds.field("version") == version) & (ds.field("at") >= moment)
