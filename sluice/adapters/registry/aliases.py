"""Which version a service's aliases name, moved in steps that a second attempt finishes."""

from dataclasses import replace

from sluice.adapters.registry.store import Store
from sluice.adapters.registry.versions import REGISTERED, ModelVersionRef, check_verdicts
from sluice.control.approval import ANSWER, ApprovalAnswer
from sluice.errors import PromotionRefused

CHAMPION, CANDIDATE, PREVIOUS = "champion", "candidate", "previous"
CLOSED = (ApprovalAnswer.REFUSED, ApprovalAnswer.EXPIRED, ApprovalAnswer.SUPERSEDED)


def choose_alias(version: ModelVersionRef, champion: ModelVersionRef | None) -> str:
    """Give the alias of a version that was just registered; empty where it keeps what it has.

    A version that a person is asked about never becomes champion by being registered.
    """
    answer = version.tags.get(ANSWER)
    if answer in CLOSED or (champion and champion.version == version.version):
        return ""
    return CANDIDATE if champion or answer else CHAMPION


def promote(store: Store, service: str) -> tuple[ModelVersionRef | None, ModelVersionRef]:
    """Make the candidate champion and the champion previous; give (previous, champion).

    Raises:
        PromotionRefused: there is no candidate, or it may not be promoted.
    """
    new, old = store.find_alias(service, CANDIDATE), store.find_alias(service, CHAMPION)
    if new is None:
        raise PromotionRefused(f"{service} has no candidate: a release that passes makes one")
    check_verdicts(new)
    if old and old.version == new.version:  # an earlier attempt came this far
        old = store.find_alias(service, PREVIOUS)
    elif old:
        store.set_alias(service, PREVIOUS, old.version)
    store.set_alias(service, CHAMPION, new.version)
    store.client().delete_registered_model_alias(service, CANDIDATE)
    return old, replace(new, aliases=(CHAMPION,))


def make_champion(store: Store, service: str, version: int) -> ModelVersionRef | None:
    """Make a version champion, and the champion before it previous; give that one.

    It is no candidate any more. Asked again, it finishes what was half done.
    """
    old = store.find_alias(service, CHAMPION)
    if old and old.version != version:
        store.set_alias(service, PREVIOUS, old.version)
    store.set_alias(service, CHAMPION, version)
    drop_alias(store, service, CANDIDATE, version)
    return store.find_alias(service, PREVIOUS)


def take_back(store: Store, service: str, champion: int, candidate: int) -> None:
    """Give the champion its alias back where the candidate has it, and the candidate none."""
    now = store.find_alias(service, CHAMPION)
    if now and now.version == candidate:
        store.set_alias(service, CHAMPION, champion)
    drop_alias(store, service, PREVIOUS, champion)
    drop_alias(store, service, CANDIDATE, candidate)


def drop_alias(store: Store, service: str, alias: str, version: int) -> None:
    """Remove an alias from a version; nothing where another version carries it.

    The registry cannot compare and remove in one step: a version that got the alias in between is
    given it back.
    """
    before = _list_registered(store, service, alias)
    found = store.find_alias(service, alias)
    if found is None or found.version != version:
        return
    store.client().delete_registered_model_alias(service, alias)
    come = _list_registered(store, service, alias) - before
    if come:
        store.set_alias(service, alias, max(come))


def _list_registered(store: Store, service: str, alias: str) -> set[int]:
    """Give the versions that were given an alias when they were registered."""
    found = store.list_versions(service)
    return {item.version for item in found if item.tags.get(REGISTERED) == alias}
