"""Approval answers in the registry: tags and aliases follow the control store."""

from collections.abc import Mapping

from sluice.adapters.registry.aliases import CANDIDATE, CHAMPION, CLOSED
from sluice.adapters.registry.client import Registry
from sluice.adapters.registry.faults import translate_faults
from sluice.adapters.registry.versions import ModelVersionRef, read_version
from sluice.control.approval import ANSWER, ApprovalAnswer


def list_waiting(registry: Registry, service: str) -> list[ModelVersionRef]:
    """Return the service's versions that wait for approval, oldest first.

    Raises:
        RegistryUnavailable: the registry cannot be reached.
    """
    query = f"name='{service}' and tags.`{ANSWER}` = '{ApprovalAnswer.PENDING.value}'"
    with translate_faults(f"looking for versions of {service} that wait"):
        found = registry.store.client().search_model_versions(query)
    return sorted(map(read_version, found), key=lambda item: item.version)


def find_version(registry: Registry, service: str, version: int) -> ModelVersionRef | None:
    """Return a version of a service by its number; None where there is none.

    Raises:
        RegistryUnavailable: the registry cannot be reached.
    """
    with translate_faults(f"reading version {version} of {service}"):
        return registry.store.find_number(service, version)


def apply_answer(
    registry: Registry,
    version: ModelVersionRef,
    answer: ApprovalAnswer,
    tags: Mapping[str, str],
    serves: int | None = None,
) -> ModelVersionRef:
    """Apply a person's answer to a version's aliases and tags; the answer's tag is set last.

    Approved: it becomes champion where the service has none, else it stays candidate. `serves` is
    the champion of the control store's route. Any other answer: it loses the alias `candidate`. A
    second call completes an interrupted one.

    Raises:
        RegistryUnavailable: the registry cannot be reached.
    """
    service, number, store = version.service, version.version, registry.store
    with translate_faults(f"applying the answer to {version.uri}"):
        champion, candidate = (store.find_alias(service, name) for name in (CHAMPION, CANDIDATE))
        is_champion = champion is not None and champion.version == number
        if answer is ApprovalAnswer.APPROVED and champion is None and serves is None:
            store.set_alias(service, CHAMPION, number)
            is_champion = True
        leaves = is_champion or answer in CLOSED
        if leaves and candidate is not None and candidate.version == number:
            store.client().delete_registered_model_alias(service, CANDIDATE)
        for key, value in sorted({**tags, ANSWER: answer.value}.items(), reverse=True):
            store.client().set_model_version_tag(service, str(number), key, value)
        return store.read_version(service, number)
