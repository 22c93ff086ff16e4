"""The command that takes the word of a restored control store: gateways, registry, store."""

from datetime import datetime

from sluice.adapters.control.store import prepare_control
from sluice.adapters.gateway import Replicas
from sluice.adapters.registry.answers import find_version
from sluice.adapters.registry.client import open_registry
from sluice.control.command import Author
from sluice.control.route import Route
from sluice.control.timeline import ACCEPT_STORE
from sluice.errors import CommandRefused
from sluice.home import Home
from sluice.rollout.collection import list_conflicting, list_epochs


def accept_store(home: Home, replicas: Replicas, service: str, by: Author, now: datetime) -> Route:
    """Make the control store's route count for gateways that know a later epoch of it.

    The alias `champion` moves first, so that the keeper adopts no alias of the lost time. A
    repeated call completes an interrupted one.

    Raises:
        CommandRefused: no gateway answers or none is ahead, there is no route, or name or reason
            are missing.
        Fault: the control store or the registry cannot be reached.
    """
    replies = replicas.read_counters()
    epochs = list_epochs(replies, service)
    if not epochs:
        silent = [f"{name}: {reply}" for name, reply in replies.items() if isinstance(reply, str)]
        found = "; ".join(silent) or "none serves it"
        raise CommandRefused(
            f"{ACCEPT_STORE}: no gateway says which epoch of {service} it knows ({found}); next: "
            "start the gateway, then give this command again"
        )
    control, registry = prepare_control(home), open_registry(home)
    known = max(epochs.values()) + bool(list_conflicting(replies, service))
    champion = control.recovery.find_champion(service, known)
    if find_version(registry, service, champion) is not None:
        registry.make_champion(service, champion)
    return control.recovery.accept(service, known, by, now)
