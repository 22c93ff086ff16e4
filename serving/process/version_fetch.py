"""The process that fetches one version and proves it; no other one imports MLflow.

    python -m serving.process.version_fetch SERVICE VERSION --report FD --memory-bytes N

A version is fetched only if it may serve: every gate passed it, or a person made an exception. It
becomes visible to the workers once it loads, and its answers are those of its evaluation. Whatever
its files do to this process, other versions are fetched by other processes.
"""

import argparse
import logging
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from serving.models.cache import CacheEntry, Manifest, ModelCache, clean_reason
from serving.models.loading import load_cached
from serving.process.fetcher import PROVING, PUBLISHED, REFUSED, UNAVAILABLE
from sluice.adapters.control.admissions import Admissions
from sluice.adapters.control.store import open_control
from sluice.adapters.registry.answers import find_version
from sluice.adapters.registry.client import ModelVersionRef, Registry, open_registry
from sluice.adapters.registry.model_files import SERVING_FOLDER
from sluice.adapters.registry.served import check_signature
from sluice.adapters.security.signatures import open_signatures
from sluice.adapters.telemetry.log_output import CLOCK, start_log
from sluice.errors import (
    DataMissing,
    Fault,
    PromotionRefused,
    Refused,
    SignatureInvalid,
    SluiceError,
    StorageFull,
)
from sluice.home import find_home
from sluice.models.export.form import read_facts

LOG = logging.getLogger("sluice.fetching")


def fetch_version(
    registry: Registry,
    admissions: Admissions,
    cache: ModelCache,
    key: tuple[str, int],
    on_proving: Callable[[], None] = lambda: None,
) -> CacheEntry:
    """Fetch a version, check it, and publish it, or publish why it is refused.

    Where another fetcher was first, its result is returned.

    Raises:
        Refused: the registry does not have it, it may not serve, it does not load, or its answers
            differ.
        Fault: the registry, the control store or the disk cannot be reached.
        TimeoutError: another fetcher has been fetching it for too long.
    """
    service, version = key
    with cache.fetch_alone(service, version):
        entry = cache.find(service, version)
        if entry is not None and not entry.refused:
            return entry
        found = find_version(registry, service, version)
        if found is None:
            raise DataMissing(f"the registry has no {service} v{version}")
        admission = admissions.judge(service, version, found.tags)
        if admission.objection:
            refusal = f"it may not serve: {admission.objection}"
            cache.publish(CacheEntry(service, version, refused=refusal))
            raise PromotionRefused(refusal)
        with tempfile.TemporaryDirectory() as work:
            source = registry.download_model(found, Path(work))
            text = registry.read_text(found.run_id, "config.yaml")
            try:
                signature, signed = check_signature(registry, found, source, text)
            except SignatureInvalid as error:
                cache.publish(CacheEntry(service, version, refused=str(error)))
                raise
            on_proving()
            try:
                manifest = describe_version(found, source, text, admission.ground, signature)
                entry = _prove(cache, manifest, source, signed)
            except Refused as error:
                if is_final(error):
                    cache.publish(CacheEntry(service, version, refused=str(error)))
                raise
        cache.publish(entry)
    return entry


def is_final(error: Exception) -> bool:
    """Whether a version's files are at fault: not the registry or the disk, and no missing verdict.

    A person may make an exception for a version without verdicts, or sign one, at any time.
    """
    other = Fault | StorageFull | DataMissing | PromotionRefused | SignatureInvalid
    return isinstance(error, Refused) and not isinstance(error, other)


def _prove(cache: ModelCache, manifest: Manifest, source: Path, signed: str) -> CacheEntry:
    """Keep a version's files and load them as a worker does; `signed` says who vouches for them.

    Raises:
        Refused: they do not load, or answer otherwise than in the evaluation.
        Fault: the disk cannot be reached.
    """
    entry = cache.keep(manifest, source)
    try:
        model = load_cached(cache, entry)
    except Refused:
        cache.discard(entry)
        raise
    reason = f" ({model.backend_reason})" if model.backend_reason else ""
    LOG.info(
        "%s is in the cache: backend %s%s, checked on %d rows; signed: %s",
        *(manifest.name, model.backend.name, reason, model.checked_rows, signed),
        extra={"service": manifest.service, "version": manifest.version},
    )
    return entry


def describe_version(
    version: ModelVersionRef, source: Path, config: str, ground: str, signature: str
) -> Manifest:
    """Return the facts of a version, from the configuration of its release.

    `ground` says why the version may serve, `signature` is the text of its `signature.json`.

    Raises:
        ModelDamaged: the text is not the configuration of a service.
    """
    name = f"{version.service} v{version.version}"
    facts = read_facts(name, version.tags, config, (source / SERVING_FOLDER).is_dir())
    return Manifest(
        version.service,
        version.version,
        version.run_id,
        facts.kind,
        facts.problem,
        facts.form,
        facts.data.model_dump(mode="json"),
        {},
        ground,
        config,
        signature,
    )


def limit_memory(most: int) -> None:
    """Let this process use so many bytes of memory (on Linux) and write no larger file."""
    for limit in (resource.RLIMIT_DATA, resource.RLIMIT_FSIZE):
        _, hard = resource.getrlimit(limit)
        soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (soft, hard))


def main() -> int:
    """Fetch one version; see the exit codes."""
    parser = argparse.ArgumentParser(prog="serving.process.version_fetch")
    parser.add_argument("service")
    parser.add_argument("version", type=int)
    parser.add_argument("--report", type=int, required=True, help="descriptor of a pipe")
    parser.add_argument("--memory-bytes", type=int, required=True)
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    start_log("version fetch", CLOCK)
    limit_memory(arguments.memory_bytes)
    home, key = find_home(), (arguments.service, arguments.version)
    report = partial(_report, arguments.report)
    try:
        cache = ModelCache(home.models, open_signatures(home))
        admissions = open_control(home).admissions
        fetch_version(open_registry(home), admissions, cache, key, partial(report, PROVING))
    except (SluiceError, OSError) as error:
        report(clean_reason(str(error)).encode())
        return REFUSED if is_final(error) else UNAVAILABLE
    return PUBLISHED


def _report(descriptor: int, words: bytes) -> None:
    os.write(descriptor, words)


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)  # all is written; a library's thread may still hang
