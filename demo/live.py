"""The live part of the demonstration: a rollout of a candidate on replayed traffic."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cli.output import EXIT_GATE, say
from cli.runs import RunResult, report_end
from demo.faulty import ModelFault, register_faulty
from demo.forecast import describe_traffic, forecast, show_forecast
from demo.held_out import read_frame
from demo.stack import Addresses, CallerOptions, run_callers, run_gateway, wait_for_champion
from demo.watch import RolloutWatch, report_rollout
from sluice.adapters.addresses import FLOW_RUNS
from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.registry.client import Registry, open_registry
from sluice.config.loading import load_policy, load_service
from sluice.config.service import ServiceConfig
from sluice.errors import DataMissing
from sluice.home import Home, find_home
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import ALLOWED, Action, Phase

POLICY = "laptop"
RPS, FEEDBACK = 200.0, 0.75
"""Requests per second that two cores can serve here; share of answers that get feedback."""
COMPLAINTS = 0.2
"""Share of wrong answers of the champion, as its gates measured it; the forecast assumes it."""
FAULTS: dict[str, ModelFault] = {
    "errors": ModelFault("errors", share=0.06),
    "latency": ModelFault("latency", share=0.08, milliseconds=15.0),
    "worse_live": ModelFault("flipped", share=0.25),
}
"""Faults in the candidate's graph; each affects a share of the rows, always the same ones."""


def play_live(service: str, fault: str, finish: Callable[[], None]) -> RunResult:
    """Roll out the service's candidate on replayed traffic and return how it ended.

    `finish` is called at the end, while the gateway is still up.

    Raises:
        DataMissing: the service has no champion, or no candidate.
        ServerUnavailable: the gateway does not start, or the callers ended early.
        Fault: the control store or the registry cannot be reached.
        LogBroken: the decision log does not lead to the decisions in it.
    """
    home, config = find_home(), load_service(service, "development")
    registry, control = open_registry(home), prepare_control(home)
    if fault:
        _replace_candidate(registry, home, config, FAULTS[fault])
    route = control.routes.find(service)
    if route is None or registry.find_alias(service, "candidate") is None:
        raise DataMissing(f"{service}: a rollout needs a champion and a candidate")
    before = len(control.rollouts.list_rollouts(service))
    say(f"\nLive: callers send held-out rows of {service} to a gateway, as users would")
    with run_gateway(home) as addresses:
        policy, traffic = load_policy(POLICY), describe_traffic(RPS, FEEDBACK, COMPLAINTS)
        show_forecast(policy, traffic, forecast(policy, traffic))
        wait_for_champion(home, addresses.gateway, service, route.champion)
        options = CallerOptions(service, RPS, FEEDBACK)
        with run_callers(home, addresses.gateway, options) as callers:
            _print_addresses(addresses, home)
            _end_open_rollout(control, service)
            result = _roll_out(control, service)
            counts = callers.end()
        for record in control.rollouts.list_rollouts(service)[before:]:
            report_rollout(control, record, counts)
        finish()
    return result


def _replace_candidate(
    registry: Registry, home: Home, config: ServiceConfig, fault: ModelFault
) -> None:
    """Replace the candidate by a faulty version, as if no gate had noticed the fault."""
    rows = read_frame(home, config)
    version = register_faulty(registry, config, rows, fault, "candidate")
    say(
        f"\n{version.uri} replaces the candidate: the same model with {fault.kind} on "
        f"{fault.share:.0%} of rows, planted after its gates"
    )


def _roll_out(control: Control, service: str) -> RunResult:
    """Run the rollout flow here and return how it ended; one that holds is aborted."""
    from flows.rollout import rollout

    with RolloutWatch(control, service):
        state = rollout(service, policy=POLICY, return_state=True)
    result = report_end(state)
    say(f"run in Prefect   {_find_prefect()}/{FLOW_RUNS}{state.state_details.flow_run_id}")
    ended: Any = state.result() if result.code == 0 else None
    if ended and ended.phase != Phase.DONE:
        return RunResult(EXIT_GATE)
    return result


def _end_open_rollout(control: Control, service: str) -> None:
    """End a rollout of an interrupted demonstration: abort it, or let it finish its soak."""
    from flows.rollout import rollout

    record: RolloutRecord | None = control.rollouts.find_open(service)
    if record is None:
        return
    say(f"an earlier run left a rollout of v{record.candidate} open; it is ended first")
    if record.state.phase in ALLOWED[Action.ABORT]:
        reason, now = "it was interrupted", datetime.now(UTC)
        control.commands.give(service, Action.ABORT.value, "the next demo", reason, now)
    rollout(service, resume=True, return_state=True)


def _print_addresses(addresses: Addresses, home: Home) -> None:
    say(f"{RPS:g} requests/s from now on; {FEEDBACK:.0%} of answers get feedback after 2 s")
    say(f"watch it live    {addresses.page}")
    say(f"                 {_find_prefect()}/runs")
    say(f"gateway          {addresses.gateway}/readyz")
    say(f"callers          {home.logs / 'callers.log'}")


def _find_prefect() -> str:
    from prefect.settings import PREFECT_UI_URL

    return str(PREFECT_UI_URL.value())
