"""Commands that try a policy before a rollout: simulate, feasible."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cli.output import say, show_rows
from cli.traffic import TrafficOptions, describe_fault, describe_traffic, name_fault, refuse_made_up
from sluice.config.loading import find_policy, load_policy, load_service
from sluice.config.policy import hash_policy
from sluice.errors import StorageFull
from tasks.run.tags import environment_name

if TYPE_CHECKING:
    from sluice.config.policy import Policy
    from sluice.rollout.simulation.feasibility import StageForecast
    from sluice.rollout.simulation.rollouts import Progress, Simulation, SimulationResult
    from sluice.rollout.simulation.traffic import Traffic


WAYS: tuple[tuple[str, Literal["evidence", "points"], int], ...] = (
    ("evidence", "evidence", 1),
    ("5 failed checks", "points", 5),
    ("limits literally", "points", 1),
)
EQUAL = "equal"
REPLAYED = "as recorded"


def simulate_policy(
    policy: str,
    wishes: TrafficOptions,
    fault: tuple[Sequence[str], float],
    size: tuple[int, int],
    files: tuple[str, str] = ("", ""),
) -> None:
    """Print how often a policy decides wrongly; draw when it rolls back, where a file is named.

    `fault` is what the bad candidate has (twice the policy's margin more errors where nothing is
    named) and from which minute on, `size` rollouts and seed; `files` are recorded counts and the
    picture.

    Raises:
        ConfigInvalid: there is no such policy, it is not right, or an option is not.
        DataInvalid: the recorded counts are not right.
        StorageFull: the picture cannot be written.
    """
    from sluice.rollout.simulation.recorded import read_recording
    from sluice.rollout.simulation.rollouts import Simulation

    found = load_policy(policy)
    bad = describe_fault(*fault, 2 * found.rules.error_margin.margin)
    traffic = describe_traffic(wishes)
    recording = read_recording(Path(files[0])) if files[0] else None
    if recording:
        refuse_made_up(wishes, bad)
        traffic = replace(traffic, errors=recording.rate)
    equal = Simulation(found, traffic, *size, recording=recording)
    trials = {
        EQUAL: equal,
        name_fault(bad): replace(equal, traffic=replace(traffic, regression=bad)),
    }
    if recording and recording.has_candidate:
        trials[REPLAYED] = replace(equal, runs=1, replay=True)
    _introduce(found, equal)
    outcomes = {name: _try_ways(name, trial) for name, trial in trials.items()}
    rows = [
        _describe((name, way), outcome, 0.0 if name in (EQUAL, REPLAYED) else bad.start)
        for name, ways in outcomes.items()
        for way, outcome in ways.items()
    ]
    show_rows(f"{size[0]:,} rollouts each; times and requests are medians", rows)
    _conclude(outcomes)
    if files[1]:
        _draw({name: ways for name, ways in outcomes.items() if name != REPLAYED}, Path(files[1]))


def _introduce(policy: "Policy", trial: "Simulation") -> None:
    traffic, recording = trial.traffic, trial.recording
    what = (
        f"{len(recording.counts):,} recorded blocks, {recording.rate:.2%} errors"
        if recording
        else f"{traffic.rate:g} requests/s, {traffic.errors:.2%} errors, made up"
    )
    say(f"policy {policy.policy} ({hash_policy(policy)[:12]}); traffic: {what}; seed {trial.seed}")
    every = "each block" if trial.every == 1 else f"each {trial.every} blocks"
    say(f"rules: {', '.join(trial.names)}; clustering is measured {every}")
    for doubt in list_doubts(trial):
        say(doubt)


def list_doubts(trial: "Simulation") -> list[str]:
    """Name the stages that pass on less than it seems: on business alone, or on no counts."""
    found = [
        f"{stage}: {', '.join(rules)} counts as passed, for want of counts"
        for stage, rules in trial.unasked.items()
    ]
    if trial.policy.count == "units" and trial.traffic.users is None:
        found.append("count: units: each request counts as another user's; next: --users N")
    for stage in trial.policy.stages:
        if stage.passes == ("business",):
            found.append(
                f"{stage.name}: passes on business alone; errors and latency can stop it, "
                "and need not be proved; next: add error_margin to its passes"
            )
    return found


def _conclude(outcomes: "Mapping[str, dict[str, SimulationResult]]") -> None:
    from sluice.rollout.simulation.rollouts import RolloutEnding

    healthy = outcomes[EQUAL]["evidence"]
    if healthy.measured < 1:
        say(f"clustering not measured in {1 - healthy.measured:.0%} of them: too few failures")
    for name, ways in outcomes.items():
        outcome = ways["evidence"]
        rules = outcome.count_rules(RolloutEnding.PAUSED)
        if rules:
            share = outcome.share(RolloutEnding.PAUSED)
            say(f"{name}: paused for a person in {share:.3f}, by {', '.join(rules)}")


def _try_ways(name: str, trial: "Simulation") -> "dict[str, SimulationResult]":
    from sluice.rollout.simulation.rollouts import simulate

    found = {}
    for place, (way, judge, checks) in enumerate(WAYS):
        with show_progress(f"{name}, {way}") as progress:
            seed = trial.seed + place
            tried = replace(trial, judge=judge, checks=checks, seed=seed)
            found[way] = simulate(tried, progress)
    return found


def _describe(title: tuple[str, str], outcome: "SimulationResult", start: float) -> dict[str, str]:
    from sluice.rollout.simulation.rollouts import RolloutEnding

    back, exposed = RolloutEnding.ROLLED_BACK, outcome.median_exposed(RolloutEnding.ROLLED_BACK)
    return {
        "candidate": title[0],
        "judged by": title[1],
        "rolled back": f"{outcome.share(back):.3f}",
        "promoted": f"{outcome.share(RolloutEnding.PROMOTED):.3f}",
        "held": f"{outcome.share(RolloutEnding.HELD) + outcome.share(RolloutEnding.PAUSED):.3f}",
        "back after": write_seconds(outcome.median_seconds(back, start)),
        "exposed": "-" if exposed is None else f"{exposed:,.0f}",
        "promoted after": write_seconds(outcome.median_seconds(RolloutEnding.PROMOTED)),
        "back by": next(iter(outcome.count_rules()), "-"),
    }


def write_seconds(seconds: float | None) -> str:
    """Write a duration as a person would; - where there is none, before where it is negative."""
    if seconds is None or seconds < 0:
        return "-" if seconds is None else "before"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _draw(outcomes: "dict[str, dict[str, SimulationResult]]", path: Path) -> None:
    from sluice.plots.rollout import draw_rules
    from sluice.plots.style import render_png

    latest = max(float(one.seconds.max()) for ways in outcomes.values() for one in ways.values())
    picture = render_png(draw_rules(outcomes, latest))
    try:
        path.write_bytes(picture)
    except OSError as error:
        raise StorageFull(f"{path}: cannot be written: {error.strerror}") from error
    say(f"drawn: {path}")


@contextmanager
def show_progress(what: str) -> "Iterator[Progress | None]":
    """Show a bar where someone watches; elsewhere one line."""
    if not sys.stdout.isatty():
        say(f"simulating: {what}")
        yield None
        return
    from rich.progress import Progress as Bar

    with Bar(transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda stage, share: bar.update(task, completed=share, description=f"{what}: {stage}")


def show_feasibility(
    service: str, policy: str, wishes: TrafficOptions, size: tuple[int, int]
) -> int:
    """Print each stage's chance to conclude and what would raise it; give the exit code.

    The policy is the one that the service names, or the one that is given.

    Raises:
        ServiceUnknown: no file carries the service's name.
        ConfigInvalid: the service, its policy or an option is not right.
    """
    traffic = describe_traffic(wishes)
    config = load_service(service, environment_name())
    found = load_policy(policy) if policy else find_policy(config)
    if found.rules.business == "none":  # no pass rule asks for any signal
        traffic = replace(traffic, signals=None)
    say(
        f"{service}: policy {found.policy} at {traffic.rate:g} requests/s, "
        f"{traffic.errors:.2%} errors"
    )
    return show_forecast(found, traffic, size)


def show_forecast(policy: "Policy", traffic: "Traffic", size: tuple[int, int]) -> int:
    """Print each stage's chance to conclude; give 1 where one has too little, else 0."""
    from sluice.rollout.simulation.feasibility import POWER, forecast
    from sluice.rollout.simulation.rollouts import Simulation

    for doubt in list_doubts(Simulation(policy, traffic)):
        say(doubt)
    with show_progress("arms equal") as progress:
        outlooks = forecast(policy, traffic, *size, progress)
    show_rows(f"Can each stage conclude? {size[0]:,} rollouts", [_foretell(o) for o in outlooks])
    short = [outlook for outlook in outlooks if not outlook.is_feasible]
    for outlook in short:
        say(f"{outlook.stage}: passes by max in {outlook.probability:.1%}; wanted: {POWER:.0%}")
        for change in outlook.changes:
            values = (_write(change.key, value) for value in (change.found, change.wanted))
            say(f"  next: {change.key} {' -> '.join(values)} ({change.probability:.0%} pass)")
        if not outlook.changes:
            say("  next: more traffic, or counts that are known sooner; no single change is enough")
    if not short:
        say("every stage can conclude")
    return 1 if short else 0


def _foretell(outlook: "StageForecast") -> dict[str, str]:
    needed = outlook.needed
    return {
        "stage": outlook.stage,
        "weight": f"{outlook.weight:.0%}",
        "passes by max": f"{outlook.probability:.3f}",
        "max": write_seconds(outlook.max_seconds),
        "median": write_seconds(outlook.median_seconds),
        "requests for .8": "-" if needed is None else f"{needed:,.0f}",
        "in": write_seconds(outlook.needed_seconds),
        "feasible": "yes" if outlook.is_feasible else "no",
    }


def _write(key: str, value: float) -> str:
    return write_seconds(value) if key.endswith(".max") else f"{value:g}"
