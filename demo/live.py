"""The live part of the story: callers ask, and a candidate is rolled out beside its champion."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cli.output import EXIT_GATE, say
from cli.runs import RunResult, report_end
from demo.faulty import ModelFault, register_faulty
from demo.forecast import describe_traffic, forecast, show_forecast
from demo.held_out import read_frame
from demo.stack import Asking, Places, await_champion, run_callers, run_gateway
from demo.watch import RolloutWatch, give_account
from sluice.adapters.control.store import Control, open_control
from sluice.adapters.registry.client import Registry, open_registry
from sluice.config.loading import load_policy, load_service
from sluice.config.service import ServiceConfig
from sluice.errors import DataMissing
from sluice.home import Home, find_home
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import ALLOWED, Action, Phase

POLICY = "laptop"
RPS, FEEDBACK = 200.0, 0.75
"""Requests a second that two cores serve beside all else; of three answers in four callers tell."""
COMPLAINTS = 0.2
"""Share of the champion's answers that are wrong, from its gates: what the forecast assumes."""
FAULTS: dict[str, ModelFault] = {
    "errors": ModelFault("errors", share=0.06),
    "latency": ModelFault("latency", share=0.08, milliseconds=15.0),
    "worse_live": ModelFault("flipped", share=0.25),
}
"""What is wrong with the candidate's graph: each on a share of rows, the same ones each time."""


def play_live(service: str, fault: str, stay: Callable[[], None]) -> RunResult:
    """Roll the service's candidate out on replayed traffic; give how that ended.

    `stay` is called at the end, while the gateway is still up.

    Raises:
        DataMissing: the service has no champion, or no candidate.
        ServerUnavailable: the gateway does not come up, or the callers ended early.
        Fault: control store or registry cannot be reached.
        LogBroken: the decision log does not lead to the decisions in it.
    """
    home, config = find_home(), load_service(service, "development")
    registry, control = open_registry(home), open_control(home)
    control.prepare()
    if fault:
        _spoil_candidate(registry, home, config, FAULTS[fault])
    champion = registry.find_alias(service, "champion")
    if champion is None or registry.find_alias(service, "candidate") is None:
        raise DataMissing(f"{service}: a rollout needs a champion and a candidate")
    before = len(control.rollouts.list_rollouts(service))
    say(f"\nLive: {service} behind a gateway, asked about its held-out rows as users would")
    with run_gateway(home) as places:
        policy, traffic = load_policy(POLICY), describe_traffic(RPS, FEEDBACK, COMPLAINTS)
        show_forecast(policy, traffic, forecast(policy, traffic))
        await_champion(home, places.gateway, service, champion.version)
        asking = Asking(service, RPS, FEEDBACK)
        with run_callers(home, places.gateway, asking) as callers:
            _say_places(places, home)
            _end_left(control, service)
            ending = _roll_out(control, service)
            counts = callers.end()
        for course in control.rollouts.list_rollouts(service)[before:]:
            give_account(control, course, counts)
        stay()
    return ending


def _spoil_candidate(
    registry: Registry, home: Home, config: ServiceConfig, fault: ModelFault
) -> None:
    """Put a faulty version in the candidate's place, as if no gate could have noticed."""
    rows = read_frame(home, config)
    version = register_faulty(registry, config, rows, fault, "candidate")
    say(
        f"\n{version.uri} takes the candidate's place: the same model with {fault.kind} on "
        f"{fault.share:.0%} of rows, written in after its gates"
    )


def _roll_out(control: Control, service: str) -> RunResult:
    """Run the rollout flow here and give how it ended; one that only holds is ended."""
    from flows.rollout import rollout

    with RolloutWatch(control, service):
        state = rollout(service, policy=POLICY, return_state=True)
    ending = report_end(state)
    say(f"run in Prefect   {_give_pages()}/runs/flow-run/{state.state_details.flow_run_id}")
    ended: Any = state.result() if ending.code == 0 else None
    if ended and ended.phase != Phase.DONE:
        return RunResult(EXIT_GATE)
    return ending


def _end_left(control: Control, service: str) -> None:
    """End a rollout that an interrupted story left: abort it, or let it finish its soak."""
    from flows.rollout import rollout

    course: RolloutRecord | None = control.rollouts.find_open(service)
    if course is None:
        return
    say(f"a rollout of v{course.candidate} was left by an earlier run; it is ended first")
    if course.state.phase in ALLOWED[Action.ABORT]:
        why, now = "it was interrupted", datetime.now(UTC)
        control.commands.give(service, Action.ABORT.value, "the next story", why, now)
    rollout(service, resume=True, return_state=True)


def _say_places(places: Places, home: Home) -> None:
    say(f"{RPS:g} requests/s from now on; {FEEDBACK:.0%} of answers are told of after 2 s")
    say(f"watch it live    {places.page}")
    say(f"                 {_give_pages()}/runs")
    say(f"gateway          {places.gateway}/readyz")
    say(f"callers          {home.logs / 'callers.log'}")


def _give_pages() -> str:
    from prefect.settings import PREFECT_UI_URL

    return str(PREFECT_UI_URL.value())
