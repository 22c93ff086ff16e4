"""The bill of materials of a version: CycloneDX 1.6, with the model, its data and its packages.

https://cyclonedx.org/docs/1.6/json/. The same release gives the same bill, to the byte.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sluice.config.service import ServiceConfig
from sluice.doctor import LockedPackage
from sluice.identity import ReleaseIdentity
from sluice.verdict import Check, Verdict

FILE = "bom.cdx.json"
SPEC = "1.6"
CARD, SIGNATURE = "model_card.md", "signature.json"
MODEL, DATA, CONFIG = "model", "data", "config"
SHA256 = re.compile(r"[0-9a-f]{64}")


def write_bill(
    config: ServiceConfig,
    identity: ReleaseIdentity,
    verdicts: Sequence[Verdict],
    packages: Sequence[LockedPackage],
    hashes: Mapping[str, str],
    at: datetime,
) -> str:
    """Write the bill of a release as JSON.

    `hashes` are the sha256 of the model's files by name, `at` is when the release began.
    """
    libraries = _list_libraries(packages)
    model = _describe_model(config, identity, verdicts, hashes)
    bill = {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, f'{identity.id} {at.isoformat()}')}",
        "version": 1,
        "metadata": {
            "timestamp": at.isoformat(timespec="seconds"),
            "tools": {"components": [{"type": "application", "name": "sluice"}]},
            "component": model,
            "properties": _list_properties(identity),
        },
        "components": [_describe_data(config, identity), *libraries],
        "dependencies": [
            {"ref": MODEL, "dependsOn": [DATA, *(item["bom-ref"] for item in libraries)]}
        ],
    }
    return json.dumps(bill, indent=2, ensure_ascii=False) + "\n"


def _list_libraries(packages: Sequence[LockedPackage]) -> list[dict[str, Any]]:
    """Return the packages of the lock that this machine installs, once each."""
    found = {(item.name, item.version) for item in packages if item.applies}
    return [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}@{version}",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name}@{version.replace('+', '%2B').replace('!', '%21')}",
        }
        for name, version in sorted(found)
    ]


def _describe_model(
    config: ServiceConfig,
    identity: ReleaseIdentity,
    verdicts: Sequence[Verdict],
    hashes: Mapping[str, str],
) -> dict[str, Any]:
    task = "regression" if config.problem == "regression" else "classification"
    files = [
        {
            "type": "file",
            "bom-ref": f"file:{name}",
            "name": name,
            "hashes": [{"alg": "SHA-256", "content": digest}],
        }
        for name, digest in sorted(hashes.items())
    ]
    return {
        "type": "machine-learning-model",
        "bom-ref": MODEL,
        "name": config.service,
        "version": identity.id,
        "description": config.description,
        "components": files,
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "supervised"},
                "task": task,
                "architectureFamily": config.model.kind,
                "datasets": [{"ref": DATA}],
                "inputs": [
                    {"format": f"{name}: {config.data.columns[name]}"}
                    for name in config.data.features
                ],
                "outputs": [{"format": f"{config.data.target}: {config.problem}"}],
            },
            "quantitativeAnalysis": {
                "performanceMetrics": [
                    _describe_figure(verdict.gate, check)
                    for verdict in verdicts
                    for check in verdict.checks
                    if check.measured is not None
                ]
            },
            "considerations": {
                "useCases": [config.description],
                "technicalLimitations": [
                    f"{verdict.gate}: {notice}"
                    for verdict in verdicts
                    for notice in verdict.notices
                ],
            },
            "properties": _list_verdicts(verdicts),
        },
    }


def _list_verdicts(verdicts: Sequence[Verdict]) -> list[dict[str, str]]:
    """Return the gates' outcomes, and the names of the files beside the bill."""
    found = {f"verdict:{item.gate}": item.outcome.value for item in verdicts}
    beside = {"card": CARD, "signature": SIGNATURE}
    return [{"name": f"sluice:{key}", "value": text} for key, text in {**found, **beside}.items()]


def _describe_figure(gate: str, check: Check) -> dict[str, Any]:
    found: dict[str, Any] = {"type": f"{gate}: {check.name}", "value": f"{check.measured:.10g}"}
    if check.interval:
        low, high = check.interval
        found["confidenceInterval"] = {"lowerBound": f"{low:.10g}", "upperBound": f"{high:.10g}"}
    return found


def _describe_data(config: ServiceConfig, identity: ReleaseIdentity) -> dict[str, Any]:
    data = identity.data
    sensitive = sorted(config.bias.columns)
    content = {
        "type": "dataset",
        "name": f"{config.service} data v{data.version}",
        "description": f"{data.rows:,} rows",
        **({"sensitiveData": sensitive} if sensitive else {}),
    }
    found: dict[str, Any] = {
        "type": "data",
        "bom-ref": DATA,
        "name": f"{config.service}-data",
        "version": str(data.version),
        "data": [content],
    }
    if SHA256.fullmatch(data.content_hash):
        found["hashes"] = [{"alg": "SHA-256", "content": data.content_hash}]
    return found


def _list_properties(identity: ReleaseIdentity) -> list[dict[str, str]]:
    return [
        {"name": key.replace(".", ":"), "value": value} for key, value in identity.tags().items()
    ]
