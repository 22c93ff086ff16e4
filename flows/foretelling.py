"""Whether a service's rollout can conclude at its traffic, stage by stage, in words."""

from dataclasses import replace
from typing import TYPE_CHECKING

from flows.described_traffic import Wishes, describe_traffic
from flows.simulating import list_doubts, show_progress, write_seconds
from flows.terminal import say, show_rows
from sluice.config.loading import load_service
from sluice.config.policy_file import find_policy, load_policy
from tasks.settings import environment_name

if TYPE_CHECKING:
    from sluice.config.policy import Policy
    from sluice.rollout.simulation.feasibility import Outlook
    from sluice.rollout.simulation.traffic import Traffic


def check_feasibility(service: str, policy: str, wishes: Wishes, size: tuple[int, int]) -> int:
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
    return foretell_stages(found, traffic, size)


def foretell_stages(policy: "Policy", traffic: "Traffic", size: tuple[int, int]) -> int:
    """Print each stage's chance to conclude; give 1 where one has too little, else 0."""
    from sluice.rollout.simulation.feasibility import POWER, foresee
    from sluice.rollout.simulation.trial import Trial

    for doubt in list_doubts(Trial(policy, traffic)):
        say(doubt)
    with show_progress("arms equal") as progress:
        outlooks = foresee(policy, traffic, *size, progress)
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
