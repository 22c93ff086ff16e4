"""Running a flow from the terminal, and telling how it ended."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.output import exit_code, say, show_verdicts
from sluice.config.loading import load_service
from sluice.config.overrides import Overrides
from sluice.home import find_home
from sluice.metrics import check_metrics
from tasks.run.tags import environment_name

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

SEND_SECONDS = 10.0


@dataclass(frozen=True)
class RunResult:
    """How a run ended: the process's exit code, and the error class that stopped it, if one did."""

    code: int
    error: str = ""


@contextmanager
def open_terminal(service: str = "") -> Iterator[str]:
    """Start or join the server for this process; what runs still owe it is sent at the end.

    A service that is not configured, or not well, is refused before anything starts.

    Raises:
        ServiceUnknown: no configuration carries the name.
        ConfigInvalid: the service's configuration is not right.
        ServerUnavailable: the server does not answer.
        Fault: the registry cannot be made ready.
    """
    if service:
        check_metrics(load_service(service, environment_name()))
    from sluice.adapters.server.session import open_session

    with open_session(find_home(), say) as api:
        try:
            yield api
        finally:
            _send_rest()


def run_release(service: str, data_version: int, overrides: Overrides, cause: str) -> RunResult:
    """Run the release flow here, print its verdicts and addresses; give how it ended."""
    from flows.release import release
    from tasks.release.recording import find_verdicts
    from tasks.run.state import SKIPPED

    state: State[Any] = release(service, data_version, overrides, cause, return_state=True)
    run = str(state.state_details.flow_run_id)
    verdicts, link = find_verdicts(service, run)
    say("")
    show_verdicts(f"Verdicts of {service}", verdicts)
    ending = report_end(state)
    if state.name == SKIPPED:
        say(f"skipped: {state.message}")
    elif ending.code == 0:
        registered = state.result()
        say(f"{service} v{registered.version} is {registered.alias} (release {registered.release})")
        if registered.awaits:
            say(f"it waits for a person: `sluice approve {service} --by NAME --why WORDS`")
    say_addresses(run, link)
    return ending


def run_ingest(service: str, source: str) -> RunResult:
    """Run the ingest flow here and give how it ended."""
    from flows.ingest import ingest
    from tasks.run.state import SKIPPED

    state: State[Any] = ingest(service, source, return_state=True)
    if state.name == SKIPPED:
        say(f"skipped: {state.message}")
    return report_end(state)


def run_promote(service: str) -> RunResult:
    """Run the promote flow here and give how it ended."""
    from flows.promote import promote

    state: State[Any] = promote(service, return_state=True)
    return report_end(state)


def run_decision(service: str, version: int, decision: str, by: str, why: str) -> RunResult:
    """Run the approve flow here, say what comes of the decision, and give how it ended."""
    from flows.approve import approve
    from sluice.control.approval import ApprovalAnswer
    from sluice.report.approval import describe_answer

    given: dict[str, Any] = {"version": version, "decision": decision, "by": by, "why": why}
    state: State[Any] = approve(service, **given, return_state=True)
    ending = report_end(state)
    if ending.code == 0:
        ended = state.result()
        answer = ApprovalAnswer(ended.answer)
        say(f"{answer.value}: {describe_answer(answer, service, ended.version, ended.alias)}")
    return ending


def report_end(state: "State[Any]") -> RunResult:
    """Say what stopped a run, if anything did, and give how it ended."""
    from tasks.run.state import read_failure

    if state.is_completed():
        return RunResult(0)
    name, fact = read_failure(state)
    headline, _, advice = fact.partition("; next: ")
    say(f"{name or state.name}: {headline}")
    if advice:
        say(f"next: {advice}")
    return RunResult(exit_code(name), name)


def say_addresses(flow_run: str, link: str) -> None:
    """Print where the run can be looked at."""
    from prefect.settings import PREFECT_UI_URL

    say("look at          the verdict tables and pictures under the run's Artifacts;")
    say("                 model card, plots, data docs and bad rows in MLflow")
    say(f"run in Prefect   {PREFECT_UI_URL.value()}/runs/flow-run/{flow_run}")
    if link:
        say(f"run in MLflow    {link}")


def _send_rest() -> None:
    """Send logs and events that are still on their way, before the server may end."""
    if "prefect" in sys.modules:
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogWorker

        APILogWorker.drain_all(timeout=SEND_SECONDS)
        EventsWorker.drain_all(timeout=SEND_SECONDS)
