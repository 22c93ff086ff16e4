"""A service's releases, read from the registry's runs in few calls."""

import json
from datetime import UTC, datetime
from typing import Any

from sluice.adapters.registry.client import Registry
from sluice.adapters.registry.faults import translate_faults
from sluice.report.history import GATES, VERSION, PastRelease
from sluice.verdict import Verdict

MOST = 50


def list_releases(
    registry: Registry, service: str, page: str = "", most: int = MOST
) -> list[PastRelease]:
    """Return the newest releases of a service, newest first; `page` is the registry UI's address.

    One call for the runs, one for the aliases.

    Raises:
        RegistryUnavailable: the registry cannot be reached.
    """
    with translate_faults(f"listing the releases of {service}"):
        client = registry.store.client()
        experiment = client.get_experiment_by_name(service)
        if experiment is None:
            return []
        runs = client.search_runs(
            [experiment.experiment_id],
            "tags.`sluice.service` != ''",
            max_results=most,
            order_by=["attributes.start_time DESC"],
        )
        found = client.search_registered_models(f"name='{service}'")
    aliases: dict[str, list[str]] = {}
    for alias, version in (found[0].aliases if found else {}).items():
        aliases.setdefault(str(version), []).append(alias)
    return [_read(run, aliases, page) for run in runs]


def read_verdicts(registry: Registry, run_id: str) -> list[Verdict]:
    """Return the verdicts of a registry run, in the order of the gates.

    Raises:
        RegistryUnavailable: the registry cannot be reached.
    """
    texts = registry.read_texts(run_id, "verdicts")
    verdicts = [Verdict.from_dict(json.loads(text)) for text in texts.values()]
    return sorted(verdicts, key=lambda item: (GATES.index(item.gate), item.gate))


def find_experiment(registry: Registry, run_id: str) -> str:
    """Return the id of a run's experiment, which is part of its files' addresses.

    Raises:
        RegistryUnavailable: the registry cannot be reached.
    """
    with translate_faults(f"reading run {run_id}"):
        return str(registry.store.client().get_run(run_id).info.experiment_id)


def _read(run: Any, aliases: dict[str, list[str]], page: str) -> PastRelease:
    tags = dict(run.data.tags)
    experiment, run_id = run.info.experiment_id, run.info.run_id
    links = {
        "run": tags.get("prefect.flow_run_url", ""),
        "MLflow": f"{page}/#/experiments/{experiment}/runs/{run_id}",
    }
    return PastRelease(
        started=datetime.fromtimestamp(run.info.start_time / 1000, UTC),
        status=run.info.status,
        tags=tags,
        figures=dict(run.data.metrics),
        aliases=tuple(sorted(aliases.get(tags.get(VERSION, ""), []))),
        links=links,
    )
