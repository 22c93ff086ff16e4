"""From a version that passed its gates to its rollout: an event asks for it, nobody waits."""

from sluice.adapters.registry.aliases import CANDIDATE
from sluice.config.service import ServiceConfig
from tasks.approval import Decided
from tasks.events import tell_world
from tasks.registration import Registered

WANTED = "rollout.wanted"
"""The event that a deployment of `rollout` listens for; the keeper finds what it did not start."""


def hand_over(config: ServiceConfig, registered: Registered) -> Registered:
    """Ask for the rollout of a new candidate, where the service's file says `start: auto`.

    A version that waits for a person is asked for once it is approved.
    """
    if not registered.awaits:
        _ask(config, registered.version, registered.alias)
    return registered


def hand_over_approved(config: ServiceConfig, decided: Decided) -> None:
    """Ask for the rollout of a candidate that a person approved."""
    if decided.answer == "approved":
        _ask(config, decided.version, decided.alias)


def _ask(config: ServiceConfig, version: int, alias: str) -> None:
    if config.rollout.start == "auto" and alias == CANDIDATE:
        tell_world(config.service, WANTED, {"version": version})
