"""Running a flow from the terminal, and printing how it ended."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from cli.arguments import check_service
from cli.output import exit_code, leave_stdout, report, report_waiting, say, show_verdicts
from sluice.home import find_home
from sluice.prompts.listing import list_prompts

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from sluice.config.overrides import Overrides

SEND_SECONDS = 10.0


@dataclass(frozen=True)
class RunResult:
    """How a run ended: the process's exit code, and the error class that stopped it, if one did."""

    code: int
    error: str = ""
    finding: str = ""
    """What the error says, without what to do next."""


@contextmanager
def open_terminal(service: str = "", *, is_for_prompts: bool = False) -> Iterator[str]:
    """Start or join the server for this process; send what is still queued for it at the end.

    An unknown service or an invalid configuration is refused before anything starts. The libraries
    of models, which flows of prompts do not need, are imported meanwhile.

    Raises:
        ServiceUnknown: no configuration carries the name.
        ConfigInvalid: the service's configuration, or the setting of the log, is not right.
        ServerUnavailable: the server does not answer.
        Fault: the registry cannot be made ready.
    """
    if service:
        check_service(service)
    from sluice.adapters.server.session import HEAVY, open_session
    from sluice.adapters.telemetry.log_output import takes_stdout

    if takes_stdout():
        leave_stdout()

    libraries = () if is_for_prompts else HEAVY
    with report_waiting("at work"), open_session(find_home(), report, libraries) as api:
        try:
            yield api
        finally:
            _send_queued()


def run_release(service: str, data_version: int, overrides: "Overrides", cause: str) -> RunResult:
    """Run the release flow here, print its verdicts and addresses, and return how it ended."""
    from flows.release import release
    from tasks.release.recording import find_verdicts

    state: State[Any] = release(service, data_version, overrides, cause, return_state=True)
    run = str(state.state_details.flow_run_id)
    verdicts, link = find_verdicts(service, run)
    say("")
    show_verdicts(f"Verdicts of {service}", verdicts)
    result = report_end(state)
    if not say_skipped(state) and result.code == 0:
        registered = state.result()
        say(f"{service} v{registered.version} is {registered.alias} (release {registered.release})")
        if registered.approval_deadline:
            say(f"it waits for a person: `sluice approve {service} --by NAME --reason WORDS`")
    say_addresses(run, link)
    return result


def run_ingest(service: str, source: str, announce: bool = True) -> RunResult:
    """Run the ingest flow here and return how it ended.

    Without `announce` no event starts a release: the command releases the data itself.
    """
    from flows.ingest import ingest

    state: State[Any] = ingest(service, source, announce, return_state=True)
    say_skipped(state)
    return report_end(state)


def run_command(service: str, call: Callable[[], Any]) -> NoReturn:
    """Run a flow about a rollout here, print its result, and exit with its code.

    `call` imports the flow and runs it: Prefect reads its settings once, when it is imported, and
    the terminal sets them first.
    """
    is_prompt = service in list_prompts()
    with open_terminal("" if is_prompt else service, is_for_prompts=is_prompt):
        state = call()
        result = report_end(state)
        if not say_skipped(state) and result.code == 0:
            done = state.result()
            said = getattr(done, "message", "")
            say(f"{service}: {said or f'{done.phase}: {done.reason}'}")
        sys.exit(result.code)


def report_end(state: "State[Any]") -> RunResult:
    """Print what stopped a run, if anything did, and return how it ended."""
    from tasks.run.state import read_failure

    if state.is_completed():
        return RunResult(0)
    name, fact = read_failure(state)
    return say_failure(name, fact, state.name or "")


def say_failure(name: str, fact: str, instead: str = "") -> RunResult:
    """Print an error, what to do next and the command for it, each on a line of its own.

    `name` is the error's class; where there is none, `instead` stands in front.
    """
    headline, _, advice = fact.partition("; next: ")
    say(f"{name or instead}: {headline}")
    advice, _, command = advice.partition("; then: ")
    if advice:
        say(f"next: {advice}")
    if command:
        say(f"then: {command}")
    return RunResult(exit_code(name), name, headline)


def say_skipped(state: "State[Any]") -> bool:
    """Print why a run was skipped; return whether it was."""
    from tasks.run.state import SKIPPED

    if state.name == SKIPPED:
        say(f"skipped: {state.message}")
    return state.name == SKIPPED


def say_addresses(flow_run: str, link: str) -> None:
    """Print the addresses of the run's pages."""
    from prefect.settings import PREFECT_UI_URL

    from sluice.adapters.addresses import FLOW_RUNS

    say("look at          the verdicts and pictures under the run's Artifacts;")
    say("                 model card, plots, data docs and bad rows in MLflow")
    say(f"run in Prefect   {PREFECT_UI_URL.value()}/{FLOW_RUNS}{flow_run}")
    if link:
        say(f"run in MLflow    {link}")
    from tasks.run.links import explain_dead_links

    if note := explain_dead_links():
        say(f"                 {note}")


def _send_queued() -> None:
    """Send logs and events that are still queued, before the server may end."""
    if "prefect" in sys.modules:
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogWorker

        APILogWorker.drain_all(timeout=SEND_SECONDS)
        EventsWorker.drain_all(timeout=SEND_SECONDS)
