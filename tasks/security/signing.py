"""Signing a version that is registered already: by a person, with a reason."""

import tempfile
from pathlib import Path

from sluice.adapters.machine import read_code_version
from sluice.adapters.registry.answers import find_version
from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.faults import translate_faults
from sluice.adapters.registry.signing import sign_run
from sluice.adapters.security.keys import hash_served
from sluice.control.admission import VERDICT
from sluice.errors import CommandRefused, DataMissing
from sluice.gates.security import GATE
from sluice.home import PROJECT, find_home
from sluice.security.signature import SignedFiles
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
    with tempfile.TemporaryDirectory() as work:
        folder = registry.download_model(found, Path(work))
        scan = scan_files(folder, sorted(hash_served(folder)))
        _, verdict = judge_security(read_code_version(PROJECT), scan)
        if not verdict.passed:
            raise CommandRefused(f"{service} v{version} is not signed: {verdict.message}")
        with translate_faults(f"signing {found.uri}"):
            sign_run(registry.store, registry.keys, service, found.run_id, folder, who, why)
            tag = f"{VERDICT}{GATE}"
            if tag not in found.tags:
                registry.store.tag_version(service, version, tag, verdict.outcome.value)
        return registry.verify_model(found, folder)
