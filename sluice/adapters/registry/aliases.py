"""Moves of a service's aliases, in steps that a second attempt completes."""

from dataclasses import replace

from sluice.adapters.registry.store import Store
from sluice.adapters.registry.versions import REGISTERED, ModelVersionRef, check_verdicts
from sluice.control.approval import ANSWER, ApprovalAnswer
from sluice.errors import PromotionRefused

CHAMPION, CANDIDATE, PREVIOUS = "champion", "candidate", "previous"
CLOSED = (ApprovalAnswer.REFUSED, ApprovalAnswer.EXPIRED, ApprovalAnswer.SUPERSEDED)


def choose_alias(
    version: ModelVersionRef, champion: ModelVersionRef | None, serves: int | None = None
) -> str:
    """Return the alias of a version that was just registered; empty: its aliases stay.

    It becomes champion only where neither the registry names one nor the control store's route
    (`serves`). A version that waits for approval never becomes champion by its registration.
    """
    answer = version.tags.get(ANSWER)
    if answer in CLOSED or version.version in (serves, champion and champion.version):
        return ""
    return CANDIDATE if champion or serves is not None or answer else CHAMPION


def find_serving(store: Store, service: str, serves: int | None) -> ModelVersionRef | None:
    """Return the version that serves by the control store's route, else by the alias.

    None where there is none, or where it was deleted from the registry.
    """
    if serves is None:
        return store.find_alias(service, CHAMPION)
    return store.find_number(service, serves)


def promote(
    store: Store, service: str, serves: int | None = None
) -> tuple[ModelVersionRef | None, ModelVersionRef]:
    """Make the candidate champion and the champion previous; return (previous, champion).

    `serves` is the champion of the control store's route.

    Raises:
        PromotionRefused: there is no candidate, or it must not be promoted.
    """
    new, old = store.find_alias(service, CANDIDATE), find_serving(store, service, serves)
    if new is None:
        raise PromotionRefused(f"{service} has no candidate: a release that passes makes one")
    check_verdicts(new)
    if old and old.version == new.version:  # an earlier attempt did this step
        old = store.find_alias(service, PREVIOUS)
    elif old:
        store.set_alias(service, PREVIOUS, old.version)
    store.set_alias(service, CHAMPION, new.version)
    store.client().delete_registered_model_alias(service, CANDIDATE)
    return old, replace(new, aliases=(CHAMPION,))


def make_champion(
    store: Store, service: str, version: int, serves: int | None = None
) -> ModelVersionRef | None:
    """Make a version champion and the champion before it previous; return the previous one.

    `serves` is the champion of the control store's route. The version loses the alias `candidate`.
    A second call completes an interrupted one.
    """
    old = find_serving(store, service, serves)
    if old and old.version != version:
        store.set_alias(service, PREVIOUS, old.version)
    store.set_alias(service, CHAMPION, version)
    drop_alias(store, service, CANDIDATE, version)
    return store.find_alias(service, PREVIOUS)


def revert_promotion(store: Store, service: str, champion: int, candidate: int) -> None:
    """Give the alias `champion` back to the champion, and remove the candidate's aliases."""
    now = store.find_alias(service, CHAMPION)
    if now and now.version == candidate:
        store.set_alias(service, CHAMPION, champion)
    drop_alias(store, service, PREVIOUS, champion)
    drop_alias(store, service, CANDIDATE, candidate)


def drop_alias(store: Store, service: str, alias: str, version: int) -> None:
    """Remove an alias from a version; nothing happens where another version has it.

    The registry cannot compare and remove in one step, so a version that was registered with the
    alias in between gets it again.
    """
    before = _list_registered(store, service, alias)
    found = store.find_alias(service, alias)
    if found is None or found.version != version:
        return
    store.client().delete_registered_model_alias(service, alias)
    added = _list_registered(store, service, alias) - before
    if added:
        store.set_alias(service, alias, max(added))


def _list_registered(store: Store, service: str, alias: str) -> set[int]:
    """Return the versions that got an alias when they were registered."""
    found = store.list_versions(service)
    return {item.version for item in found if item.tags.get(REGISTERED) == alias}
