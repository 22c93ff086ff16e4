"""Known vulnerabilities of locked packages, asked by pip-audit in a process of its own.

pip-audit ends without an error where a service does not know a package, and says "no known
vulnerabilities found". So its exit code decides nothing here: each locked package must be in its
answer, else it was not looked up.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sluice.config.security.gate import AdvisoriesConfig
from sluice.doctor import normalise_name
from sluice.documents import DocumentInvalid, parse_json
from sluice.security.evidence import DependencyAudit, Vulnerability

LOOKUP_SECONDS = 900.0
"""Longest look-up of a whole lock; each answer has its own limit beside it."""
ABSENT = "pip-audit's answer does not name it"
MOST_WORDS = 200


def name_source(config: AdvisoriesConfig) -> str:
    """Return the name of a service that is asked, for verdicts."""
    return "PyPI's advisories" if config.source == "pypi" else f"OSV at {config.url or 'osv.dev'}"


def ask_advisories(
    pins: Mapping[str, Sequence[str]], config: AdvisoriesConfig, cache: Path, now: datetime
) -> DependencyAudit:
    """Ask for every locked package; `cache` is a folder for pip-audit's own files.

    pip-audit takes one version of a package at a time, so a lock with several is asked in parts.
    What cannot be asked is in the audit: `missing` where there is no answer at all.
    """
    audits = []
    for number in range(max(map(len, pins.values()), default=0)):
        part = {name: found[number] for name, found in pins.items() if number < len(found)}
        audit = _ask(part, config, cache, now)
        if audit.missing:
            return audit
        audits.append(audit)
    vulnerable = tuple(item for audit in audits for item in audit.vulnerabilities)
    unaudited = {name: why for audit in audits for name, why in (audit.unaudited or {}).items()}
    return DependencyAudit(name_source(config), now, len(pins), vulnerable, unaudited)


def _ask(
    part: Mapping[str, str], config: AdvisoriesConfig, cache: Path, now: datetime
) -> DependencyAudit:
    source, pins = name_source(config), {name: (version,) for name, version in part.items()}
    with tempfile.TemporaryDirectory() as work:
        command = _write_command(part, config, Path(work), cache)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PIP_AUDIT_")}
        try:
            done = subprocess.run(  # noqa: S603
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=LOOKUP_SECONDS,
                check=False,
                cwd=work,
                env=environment,
            )
        except subprocess.TimeoutExpired:
            return DependencyAudit(source, missing=f"no answer in {LOOKUP_SECONDS:.0f} s")
        except OSError as error:
            return DependencyAudit(source, missing=f"pip-audit cannot be started: {error.strerror}")
    try:
        return read_answer(parse_json(done.stdout), pins, source, now)
    except (DocumentInvalid, LookupError, TypeError, AttributeError):
        return DependencyAudit(source, missing=f"{source} gave no answer: {_explain(done.stderr)}")


def read_answer(
    answer: Any, pins: Mapping[str, Sequence[str]], source: str, now: datetime
) -> DependencyAudit:
    """Return the audit that pip-audit's JSON describes.

    Raises:
        LookupError: a field is missing.
        TypeError: it is not what pip-audit writes.
    """
    vulnerabilities: list[Vulnerability] = []
    seen: set[tuple[str, str]] = set()
    unaudited: dict[str, str] = {}
    for item in answer["dependencies"]:
        name = normalise_name(item["name"])
        if reason := item.get("skip_reason"):
            unaudited[name] = str(reason)
            continue
        seen.add((name, item["version"]))
        vulnerabilities += [
            Vulnerability(
                name,
                item["version"],
                (found["id"], *found.get("aliases", ())),
                tuple(found.get("fix_versions", ())),
            )
            for found in item["vulns"]
        ]
    for name, versions in pins.items():
        if not all((name, version) in seen for version in versions):
            unaudited.setdefault(name, ABSENT)
    return DependencyAudit(source, now, len(pins), tuple(vulnerabilities), unaudited)


def _write_command(
    part: Mapping[str, str], config: AdvisoriesConfig, work: Path, cache: Path
) -> list[str]:
    """Write the packages into a file, and return the command."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "-f", "json"]
    command += ["--progress-spinner", "off", "--timeout", str(config.timeout_seconds)]
    command += ["--aliases", "on", "--desc", "off", "--cache-dir", str(cache)]
    command += ["--vulnerability-service", config.source]
    command += ["--osv-url", config.url] if config.url else []
    path = work / "packages.txt"
    lines = [f"{name}=={version}\n" for name, version in part.items()]
    path.write_text("".join(lines), encoding="utf-8")
    return [*command, "--requirement", str(path)]


def _explain(errors: str) -> str:
    """Return the last words of pip-audit, without its log's beginning."""
    lines = [line for line in errors.splitlines() if line.strip() and "WARNING" not in line]
    last = re.sub(r"^ERROR:[\w.]+:", "", lines[-1]) if lines else "pip-audit said nothing"
    return last.strip()[:MOST_WORDS]
