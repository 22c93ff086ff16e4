"""Signing a version that is registered already: by a person, with a reason."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from sluice.adapters.control.store import prepare_control
from sluice.adapters.machine import read_code_version
from sluice.adapters.moves import name_terminal
from sluice.adapters.registry.answers import find_version
from sluice.adapters.registry.client import ModelVersionRef, Registry, open_registry
from sluice.adapters.registry.faults import translate_faults
from sluice.adapters.registry.signing import sign_run
from sluice.adapters.security.keys import hash_served
from sluice.control.admission import VERDICT
from sluice.control.timeline import SIGN, TimelineEntry
from sluice.errors import CommandRefused, DataMissing, SignatureInvalid
from sluice.gates.security import GATE
from sluice.home import PROJECT, find_home
from sluice.security.signature import (
    FILE,
    SignedFiles,
    compare_files,
    describe_files,
    read_signature,
)
from tasks.security.gate import judge_security, scan_files


def sign_version(service: str, version: int, by: str, reason: str) -> SignedFiles:
    """Examine a version's files as a release does, sign them, and return the statement.

    A version from before the security gate gets its verdict too, where it passes.

    Raises:
        CommandRefused: there is no name or no reason, or the security gate does not pass it.
        DataMissing: the service has no such version.
        ConfigInvalid: the gate's configuration, or an exception, is wrong.
        Fault: the registry or its files cannot be reached.
    """
    who, why = by.strip(), reason.strip()
    if not who or not why:
        missing = "no reason" if who else "no name"
        raise CommandRefused(f"sign {service} {version}: found {missing}; needed: both, in words")
    registry = open_registry(find_home())
    found = find_version(registry, service, version)
    if found is None:
        raise DataMissing(f"{service} has no v{version}; next: `sluice show {service}`")
    timeline = prepare_control().timeline
    with tempfile.TemporaryDirectory() as work:
        folder = registry.download_model(found, Path(work))
        names = sorted(hash_served(folder))
        _refuse_changed(registry, found, folder)
        _, verdict = judge_security(read_code_version(PROJECT), scan_files(folder, names))
        if not verdict.passed:
            raise CommandRefused(f"{service} v{version} is not signed: {verdict.message}")
        with translate_faults(f"signing {found.uri}"):
            signed = sign_run(
                registry.store, registry.keys, service, found.run_id, folder, who, why
            )
            tag = f"{VERDICT}{GATE}"
            if tag not in found.tags:
                registry.store.tag_version(service, version, tag, verdict.outcome.value)
    message = f"v{version}: {len(signed.files)} files and config.yaml, by key {signed.key}"
    now, origin = datetime.now(UTC), name_terminal()
    timeline.append(TimelineEntry(service, now, SIGN, version, who, why, origin, message))
    return signed


def _refuse_changed(registry: Registry, version: ModelVersionRef, folder: Path) -> None:
    """Refuse to sign files that differ from those of the version's signature, if it has one.

    Raises:
        CommandRefused: a file or the configuration was changed after it was signed.
        RegistryUnavailable: the registry or its files cannot be reached.
    """
    text = registry.find_text(version.run_id, FILE)
    if text is None:
        return
    name = f"{version.service} v{version.version}"
    config = registry.read_text(version.run_id, "config.yaml")
    found = describe_files(version.service, version.run_id, hash_served(folder), config)
    try:
        statement, _ = read_signature(text, name)
    except SignatureInvalid as error:
        raise CommandRefused(str(error)) from error
    if problem := compare_files(statement, found):
        raise CommandRefused(f"{name} is not signed again: {problem}; next: release it again")
