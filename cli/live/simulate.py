"""Commands that try a policy before a rollout: simulate, feasible."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.live.traffic import (
    TrafficOptions,
    describe_fault,
    describe_traffic,
    name_fault,
    refuse_synthetic,
)
from cli.options import Errors, Latency, PolicyName, RandomSeed, Rate, Service, UserCount
from cli.output import say, show_rows
from sluice.errors import StorageFull
from sluice.home import environment_name
from sluice.rounding import format_duration

if TYPE_CHECKING:
    from sluice.config.policy import Policy
    from sluice.rollout.simulation.feasibility import StageForecast
    from sluice.rollout.simulation.rollouts import Progress, Simulation, SimulationResult
    from sluice.rollout.simulation.traffic import Traffic

PANEL = "Try a policy"
WAYS: tuple[tuple[str, Literal["evidence", "points"], int], ...] = (
    ("evidence", "evidence", 1),
    ("5 failed checks", "points", 5),
    ("limits literally", "points", 1),
)
EQUAL = "equal"
REPLAYED = "as recorded"
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def simulate(  # noqa: PLR0913, PLR0917 - a command has as many parameters as options
    policy: PolicyName,
    rps: Rate = 50.0,
    errors: Errors = 0.01,
    latency: Latency = 100.0,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="What a bad candidate has: errors=.01 (added), slowdown=1.2, guardrails=, "
            "negatives=, costs= or values= (times as much). Again for more."
        ),
    ] = None,
    onset: Annotated[float, typer.Option(help="Minutes until it turns bad.")] = 0.0,
    incident: Annotated[
        tuple[float, float, float] | None,
        typer.Option(help="Both arms fail: from minute, for minutes, at rate."),
    ] = None,
    drift: Annotated[
        tuple[float, float, float] | None,
        typer.Option(help="Both arms' errors move: from minute, for minutes, to rate."),
    ] = None,
    clustering: Annotated[
        float, typer.Option(help="Spread of the error rate from block to block.")
    ] = 0.0,
    apart: Annotated[bool, typer.Option(help="Each arm has bursts of its own.")] = False,
    users: UserCount = 0,
    balance: Annotated[bool, typer.Option(help="Shadow balance chooses the salt.")] = True,
    signal: Annotated[
        list[str] | None,
        typer.Option(
            help="Champion's guardrails=, feedbacks=, negatives=, cost_spread=, valued= or value=."
        ),
    ] = None,
    runs: Annotated[int, typer.Option(help="Rollouts each.", min=10)] = 1000,
    seed: RandomSeed = 1,
    traffic: Annotated[str, typer.Option(help="CSV: block, n_c, k_c, n_b, k_b.")] = "",
    plot: Annotated[str, typer.Option(help="PNG to draw.")] = "",
) -> None:
    """Simulate whole rollouts: how often a policy rolls back, misses and holds, and how soon."""
    options = TrafficOptions(
        rps, errors, latency, clustering, apart, users, balance, incident, drift, signal or ()
    )
    simulate_policy(policy, options, (fault or (), onset), (runs, seed), (traffic, plot))


@commands.command(rich_help_panel=PANEL)
def feasible(  # noqa: PLR0913, PLR0917 - a command has as many parameters as options
    service: Service,
    rps: Rate,
    policy: Annotated[str, typer.Option(help="Name or path; else the service's own.")] = "",
    errors: Errors = 0.01,
    latency: Latency = 100.0,
    users: UserCount = 0,
    signal: Annotated[
        list[str] | None,
        typer.Option(help="Of the business metric: valued= (share of requests), value= (caps)."),
    ] = None,
    runs: Annotated[int, typer.Option(help="Rollouts.", min=10)] = 400,
    seed: RandomSeed = 1,
) -> None:
    """Say whether each stage of a service's rollout can conclude, and what to change if not."""
    options = TrafficOptions(rps, errors, latency, users=users, signals=signal or ())
    sys.exit(show_feasibility(service, policy, options, (runs, seed)))


def simulate_policy(
    policy: str,
    options: TrafficOptions,
    fault: tuple[Sequence[str], float],
    size: tuple[int, int],
    files: tuple[str, str] = ("", ""),
) -> None:
    """Print how often a policy decides wrongly; plot when it rolls back, if a file is named.

    `fault` is the bad candidate's fault (default: more errors by twice the policy's margin) and
    the minute from which it has it, `size` is the number of rollouts and the seed; `files` are
    the recorded counts and the plot.

    Raises:
        ConfigInvalid: there is no such policy, it is not right, or an option is not.
        DataInvalid: the recorded counts are not right.
        StorageFull: the picture cannot be written.
    """
    from sluice.config.loading import load_policy
    from sluice.rollout.simulation.recorded import read_recording
    from sluice.rollout.simulation.rollouts import Simulation

    found = load_policy(policy)
    bad = describe_fault(*fault, 2 * found.rules.error_margin.margin)
    traffic = describe_traffic(options)
    recording = read_recording(Path(files[0])) if files[0] else None
    if recording:
        refuse_synthetic(options, bad)
        traffic = replace(traffic, errors=recording.rate)
    equal = Simulation(found, traffic, *size, recording=recording)
    simulations = {
        EQUAL: equal,
        name_fault(bad): replace(equal, traffic=replace(traffic, regression=bad)),
    }
    if recording and recording.has_candidate:
        simulations[REPLAYED] = replace(equal, runs=1, replay=True)
    _introduce(found, equal)
    results = {name: _simulate_ways(name, one) for name, one in simulations.items()}
    rows = [
        _describe((name, way), result, 0.0 if name in (EQUAL, REPLAYED) else bad.start)
        for name, ways in results.items()
        for way, result in ways.items()
    ]
    show_rows(f"{size[0]:,} rollouts each; times and requests are medians", rows)
    _conclude(results)
    if files[1]:
        _draw({name: ways for name, ways in results.items() if name != REPLAYED}, Path(files[1]))


def _introduce(policy: "Policy", simulation: "Simulation") -> None:
    from sluice.config.policy import hash_policy

    traffic, recording = simulation.traffic, simulation.recording
    source = (
        f"{len(recording.counts):,} recorded blocks, {recording.rate:.2%} errors"
        if recording
        else f"{traffic.rate:g} requests/s, {traffic.errors:.2%} errors, synthetic"
    )
    digest, seed = hash_policy(policy)[:12], simulation.seed
    say(f"policy {policy.policy} ({digest}); traffic: {source}; seed {seed}")
    every = (
        "each block"
        if simulation.clustering_interval == 1
        else f"each {simulation.clustering_interval} blocks"
    )
    say(f"rules: {', '.join(simulation.names)}; clustering is measured {every}")
    for doubt in list_doubts(simulation):
        say(doubt)


def list_doubts(simulation: "Simulation") -> list[str]:
    """Return a warning for each stage that passes on business alone or without counts."""
    found = [
        f"{stage}: {', '.join(rules)} counts as passed, for want of counts"
        for stage, rules in simulation.untested.items()
    ]
    if simulation.policy.count == "units" and simulation.traffic.users is None:
        found.append("count: units: each request counts as another user's; next: --users N")
    for stage in simulation.policy.stages:
        if stage.passes == ("business",):
            found.append(
                f"{stage.name}: passes on business alone; errors and latency can stop it, "
                "and need not be proved; next: add error_margin to its passes"
            )
    return found


def _conclude(results: "Mapping[str, dict[str, SimulationResult]]") -> None:
    from sluice.rollout.simulation.rollouts import RolloutEnding

    healthy = results[EQUAL]["evidence"]
    if healthy.measured < 1:
        say(f"clustering not measured in {1 - healthy.measured:.0%} of them: too few failures")
    for name, ways in results.items():
        result = ways["evidence"]
        rules = result.count_rules(RolloutEnding.PAUSED)
        if rules:
            share = result.share(RolloutEnding.PAUSED)
            say(f"{name}: paused for a person in {share:.3f}, by {', '.join(rules)}")


def _simulate_ways(name: str, simulation: "Simulation") -> "dict[str, SimulationResult]":
    from sluice.rollout.simulation.rollouts import simulate as run_simulation

    results = {}
    for place, (way, judge, checks) in enumerate(WAYS):
        with show_progress(f"{name}, {way}") as progress:
            seed = simulation.seed + place
            variant = replace(simulation, judge=judge, checks=checks, seed=seed)
            results[way] = run_simulation(variant, progress)
    return results


def _describe(title: tuple[str, str], result: "SimulationResult", start: float) -> dict[str, str]:
    from sluice.rollout.simulation.rollouts import RolloutEnding

    back, exposed = RolloutEnding.ROLLED_BACK, result.median_exposed(RolloutEnding.ROLLED_BACK)
    return {
        "candidate": title[0],
        "judged by": title[1],
        "rolled back": f"{result.share(back):.3f}",
        "promoted": f"{result.share(RolloutEnding.PROMOTED):.3f}",
        "held": f"{result.share(RolloutEnding.HELD) + result.share(RolloutEnding.PAUSED):.3f}",
        "back after": write_seconds(result.median_seconds(back, start)),
        "exposed": "-" if exposed is None else f"{exposed:,.0f}",
        "promoted after": write_seconds(result.median_seconds(RolloutEnding.PROMOTED)),
        "back by": next(iter(result.count_rules()), "-"),
    }


def write_seconds(seconds: float | None) -> str:
    """Format a duration; `-` if there is none, `before` if it is negative."""
    if seconds is None or seconds < 0:
        return "-" if seconds is None else "before"
    return format_duration(seconds)


def _draw(results: "dict[str, dict[str, SimulationResult]]", path: Path) -> None:
    from sluice.plots.rollout import draw_rules
    from sluice.plots.style import render_png

    latest = max(float(one.seconds.max()) for ways in results.values() for one in ways.values())
    picture = render_png(draw_rules(results, latest))
    try:
        path.write_bytes(picture)
    except OSError as error:
        raise StorageFull(f"{path}: cannot be written: {error.strerror}") from error
    say(f"drawn: {path}")


@contextmanager
def show_progress(what: str) -> "Iterator[Progress | None]":
    """Show a progress bar on a terminal; elsewhere print one line."""
    if not sys.stdout.isatty():
        say(f"simulating: {what}")
        yield None
        return
    from rich.progress import Progress as Bar

    with Bar(transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda stage, share: bar.update(task, completed=share, description=f"{what}: {stage}")


def show_feasibility(
    service: str, policy: str, options: TrafficOptions, size: tuple[int, int]
) -> int:
    """Print each stage's chance to conclude and how to raise it; return the exit code.

    The policy is `policy` if given, else the one that the service names.

    Raises:
        ServiceUnknown: no file carries the service's name.
        ConfigInvalid: the service, its policy or an option is not right.
    """
    from sluice.config.loading import find_policy, load_policy, load_service

    traffic = describe_traffic(options)
    config = load_service(service, environment_name())
    found = load_policy(policy) if policy else find_policy(config)
    if found.rules.business == "none":  # no pass rule needs a signal
        traffic = replace(traffic, signals=None)
    say(
        f"{service}: policy {found.policy} at {traffic.rate:g} requests/s, "
        f"{traffic.errors:.2%} errors"
    )
    return show_forecast(found, traffic, size)


def show_forecast(policy: "Policy", traffic: "Traffic", size: tuple[int, int]) -> int:
    """Print each stage's chance to conclude; return 1 if one has too little, else 0."""
    from sluice.rollout.simulation.feasibility import POWER, forecast
    from sluice.rollout.simulation.rollouts import Simulation

    for doubt in list_doubts(Simulation(policy, traffic)):
        say(doubt)
    with show_progress("arms equal") as progress:
        forecasts = forecast(policy, traffic, *size, progress)
    rows = [_describe_forecast(item) for item in forecasts]
    show_rows(f"Can each stage conclude? {size[0]:,} rollouts", rows)
    short = [item for item in forecasts if not item.is_feasible]
    for item in short:
        say(f"{item.stage}: passes by max in {item.probability:.1%}; wanted: {POWER:.0%}")
        for change in item.changes:
            values = (_write(change.key, value) for value in (change.current, change.proposed))
            say(f"  next: {change.key} {' -> '.join(values)} ({change.probability:.0%} pass)")
        if not item.changes:
            say("  next: more traffic, or counts that are known sooner; no single change is enough")
    if not short:
        say("every stage can conclude")
    return 1 if short else 0


def _describe_forecast(forecast: "StageForecast") -> dict[str, str]:
    needed = forecast.needed
    return {
        "stage": forecast.stage,
        "weight": f"{forecast.weight:.0%}",
        "passes by max": f"{forecast.probability:.3f}",
        "max": write_seconds(forecast.max_seconds),
        "median": write_seconds(forecast.median_seconds),
        "requests for .8": "-" if needed is None else f"{needed:,.0f}",
        "in": write_seconds(forecast.needed_seconds),
        "feasible": "yes" if forecast.is_feasible else "no",
    }


def _write(key: str, value: float) -> str:
    return write_seconds(value) if key.endswith(".max") else f"{value:g}"
