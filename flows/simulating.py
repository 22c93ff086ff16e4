"""A policy tried before anyone trusts it: its errors on made-up or recorded traffic, in words."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from flows.terminal import say, show_rows
from sluice.config.policy import hash_policy
from sluice.config.policy_file import load_policy
from sluice.errors import StorageFull

if TYPE_CHECKING:
    from sluice.config.policy import Policy
    from sluice.rollout.simulation.feasibility import Outlook
    from sluice.rollout.simulation.outcome import Outcome
    from sluice.rollout.simulation.rollouts import Progress
    from sluice.rollout.simulation.traffic import Regression, Traffic
    from sluice.rollout.simulation.trial import Trial

WAYS: tuple[tuple[str, Literal["evidence", "points"], int], ...] = (
    ("evidence", "evidence", 1),
    ("5 failed checks", "points", 5),
    ("limits literally", "points", 1),
)
EQUAL = "equal"
AS_POLICY = -1.0
"""Stands for a candidate that is twice the policy's margin worse."""
UNSEEN = "guardrail, feedback, cost, business"


def simulate_policy(
    policy: str,
    traffic: "Traffic",
    fault: "Regression",
    size: tuple[int, int],
    files: tuple[str, str] = ("", ""),
) -> None:
    """Print how often a policy decides wrongly; draw when it rolls back, where a file is named.

    The bad candidate has the `fault`, twice the policy's margin for `AS_POLICY`.
    `size` is rollouts and seed; `files` are recorded counts and the picture.

    Raises:
        ConfigInvalid: there is no such policy, or it is not right.
        DataInvalid: the recorded counts are not right.
        StorageFull: the picture cannot be written.
    """
    from sluice.rollout.simulation.recorded import read_recording
    from sluice.rollout.simulation.trial import Trial

    found = load_policy(policy)
    recording = read_recording(Path(files[0])) if files[0] else None
    if recording:
        traffic = replace(traffic, errors=recording.rate)
    if fault.errors == AS_POLICY:
        fault = replace(fault, errors=2 * found.rules.error_margin.margin)
    equal = Trial(found, traffic, *size, recording=recording)
    bad = replace(equal, traffic=replace(traffic, regression=fault))
    trials = {EQUAL: equal, f"{100 * fault.errors:+.3g} points": bad}
    _introduce(found, equal)
    outcomes = {name: _try_ways(name, trial) for name, trial in trials.items()}
    rows = [
        _describe((name, way), outcome, 0.0 if name == EQUAL else fault.start)
        for name, ways in outcomes.items()
        for way, outcome in ways.items()
    ]
    show_rows(f"{size[0]:,} rollouts each; times and requests are medians", rows)
    healthy = outcomes[EQUAL]["evidence"]
    if healthy.measured < 1:
        say(f"clustering not measured in {1 - healthy.measured:.0%} of them: too few failures")
    if files[1]:
        _draw(outcomes, Path(files[1]))


def check_feasibility(policy: str, traffic: "Traffic", size: tuple[int, int]) -> int:
    """Print each stage's chance to conclude and what would raise it; give the exit code.

    Raises:
        ConfigInvalid: there is no such policy, or it is not right.
    """
    from sluice.rollout.simulation.feasibility import POWER, foresee

    found = load_policy(policy)
    say(f"policy {found.policy} at {traffic.rate:g} requests/s, {traffic.errors:.2%} errors")
    with _show_progress("arms equal") as progress:
        outlooks = foresee(found, traffic, *size, progress)
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


def _introduce(policy: "Policy", trial: "Trial") -> None:
    traffic, recording = trial.traffic, trial.recording
    what = (
        f"{len(recording.counts):,} recorded blocks, {recording.rate:.2%} errors"
        if recording
        else f"{traffic.rate:g} requests/s, {traffic.errors:.2%} errors, made up"
    )
    say(f"policy {policy.policy} ({hash_policy(policy)[:12]}); traffic: {what}; seed {trial.seed}")
    unseen = f"latency, {UNSEEN}" if recording else UNSEEN
    every = "each block" if trial.every == 1 else f"each {trial.every} blocks"
    say(f"not simulated: {unseen}; clustering is measured {every}")


def _try_ways(name: str, trial: "Trial") -> "dict[str, Outcome]":
    from sluice.rollout.simulation.rollouts import simulate

    found = {}
    for place, (way, judge, checks) in enumerate(WAYS):
        with _show_progress(f"{name}, {way}") as progress:
            seed = trial.seed + place
            tried = replace(trial, judge=judge, checks=checks, seed=seed)
            found[way] = simulate(tried, progress)
    return found


def _describe(title: tuple[str, str], outcome: "Outcome", start: float) -> dict[str, str]:
    from sluice.rollout.simulation.outcome import Ending

    back, exposed = Ending.ROLLED_BACK, outcome.median_exposed(Ending.ROLLED_BACK)
    return {
        "candidate": title[0],
        "judged by": title[1],
        "rolled back": f"{outcome.share(back):.3f}",
        "promoted": f"{outcome.share(Ending.PROMOTED):.3f}",
        "held": f"{outcome.share(Ending.HELD):.3f}",
        "back after": write_seconds(outcome.median_seconds(back, start)),
        "exposed": "-" if exposed is None else f"{exposed:,.0f}",
        "promoted after": write_seconds(outcome.median_seconds(Ending.PROMOTED)),
        "back by": next(iter(outcome.count_rules()), "-"),
    }


def _foretell(outlook: "Outlook") -> dict[str, str]:
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


def write_seconds(seconds: float | None) -> str:
    """Write a duration as a person would; - where there is none, before where it is negative."""
    if seconds is None or seconds < 0:
        return "-" if seconds is None else "before"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _draw(outcomes: "dict[str, dict[str, Outcome]]", path: Path) -> None:
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
def _show_progress(what: str) -> "Iterator[Progress | None]":
    """Show a bar where someone watches; elsewhere one line."""
    if not sys.stdout.isatty():
        say(f"simulating: {what}")
        yield None
        return
    from rich.progress import Progress as Bar

    with Bar(transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda stage, share: bar.update(task, completed=share, description=f"{what}: {stage}")
