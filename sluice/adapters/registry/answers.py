"""A person's answers as the registry carries them: tags and aliases follow the control store."""

from collections.abc import Mapping

from sluice.adapters.registry.aliases import CANDIDATE, CHAMPION, CLOSED
from sluice.adapters.registry.client import Registry
from sluice.adapters.registry.faults import translate_faults
from sluice.adapters.registry.versions import ModelVersionRef, read_version
from sluice.control.approval import ANSWER, ApprovalAnswer


def list_waiting(registry: Registry, service: str) -> list[ModelVersionRef]:
    """Give the service's versions that wait for a person's answer, oldest first.

    Raises:
        RegistryUnavailable: the registry cannot be reached.
    """
    wanted = f"name='{service}' and tags.`{ANSWER}` = '{ApprovalAnswer.PENDING.value}'"
    with translate_faults(f"looking for versions of {service} that wait"):
        found = registry.store.client().search_model_versions(wanted)
    return sorted(map(read_version, found), key=lambda item: item.version)


def find_version(registry: Registry, service: str, version: int) -> ModelVersionRef | None:
    """Give a version of a service by its number, None where there is none.

    Raises:
        RegistryUnavailable: the registry cannot be reached.
    """
    wanted = f"name='{service}' and version_number={version}"
    with translate_faults(f"reading version {version} of {service}"):
        found = registry.store.client().search_model_versions(wanted)
        return registry.store.read_version(service, version) if found else None


def follow_answer(
    registry: Registry, version: ModelVersionRef, answer: ApprovalAnswer, tags: Mapping[str, str]
) -> ModelVersionRef:
    """Bring a version's aliases and tags to a person's answer; the answer's own tag comes last.

    Approved: champion where the service has none, else it stays candidate. Any other answer: it is
    candidate no more. Asked again, it finishes what was cut off.

    Raises:
        RegistryUnavailable: the registry cannot be reached.
    """
    service, number, store = version.service, version.version, registry.store
    with translate_faults(f"bringing {version.uri} to its answer"):
        champion, candidate = (store.find_alias(service, name) for name in (CHAMPION, CANDIDATE))
        serves = champion is not None and champion.version == number
        if answer is ApprovalAnswer.APPROVED and champion is None:
            store.set_alias(service, CHAMPION, number)
            serves = True
        leaves = serves or answer in CLOSED
        if leaves and candidate is not None and candidate.version == number:
            store.client().delete_registered_model_alias(service, CANDIDATE)
        for key, value in sorted({**tags, ANSWER: answer.value}.items(), reverse=True):
            store.client().set_model_version_tag(service, str(number), key, value)
        return store.read_version(service, number)
