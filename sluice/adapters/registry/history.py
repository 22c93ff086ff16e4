"""A service's releases, read from the registry's runs in few calls."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sluice.adapters.addresses import name_run
from sluice.adapters.registry.aliases import CHAMPION
from sluice.adapters.registry.client import Registry
from sluice.adapters.registry.faults import translate_faults
from sluice.control.admission import GATES
from sluice.documents import parse_json, parse_yaml
from sluice.errors import DataInvalid
from sluice.report.history import VERSION, PastRelease
from sluice.verdict import Verdict

MOST = 50
EVIDENCE, CONFIG = "evidence/evaluation.json", "config.yaml"
IMPORTANCE = "evidence/importance.json"
"""Files of a release's run."""


def list_releases(
    registry: Registry, service: str, serves: int | None, page: str = "", most: int = MOST
) -> list[PastRelease]:
    """Return the newest releases of a service, newest first; `page` is the registry UI's address.

    One call for the runs, one for the aliases. `serves` is the champion of the control store's
    route: the alias of that name in the registry does not count.

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
    aliases: dict[str, list[str]] = {str(serves): [CHAMPION]}
    for alias, version in (found[0].aliases if found else {}).items():
        if alias != CHAMPION:
            aliases.setdefault(str(version), []).append(alias)
    return [_read(run, aliases, page) for run in runs]


def read_verdicts(registry: Registry, run_id: str) -> list[Verdict]:
    """Return the verdicts of a registry run, in the order of the gates.

    Raises:
        DataInvalid: a verdict's file is damaged.
        RegistryUnavailable: the registry cannot be reached.
    """
    texts = registry.read_texts(run_id, "verdicts")
    verdicts = [_read_verdict(run_id, name, text) for name, text in texts.items()]
    return sorted(verdicts, key=lambda item: (GATES.index(item.gate), item.gate))


def _read_verdict(run_id: str, name: str, text: str) -> Verdict:
    try:
        return Verdict.from_dict(parse_json(text))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataInvalid(
            f"{name} of registry run {run_id} is no verdict: {error}; next: release again"
        ) from error


def read_evidence(registry: Registry, run_id: str) -> dict[str, Any]:
    """Return the evaluation's evidence of a registry run; empty where it is missing or damaged.

    Pages for people show it; nothing is decided on it.

    Raises:
        RegistryUnavailable: the registry or its files cannot be reached.
    """
    return _read_mapping(registry, run_id, EVIDENCE, parse_json)


def read_importance(registry: Registry, run_id: str) -> dict[str, float] | None:
    """Return each feature's permutation importance; None where none was recorded.

    Raises:
        RegistryUnavailable: the registry or its files cannot be reached.
    """
    text = registry.find_text(run_id, IMPORTANCE)
    try:
        found = parse_json(text) if text else None
        return None if found is None else {str(key): float(found[key]) for key in found}
    except (ValueError, TypeError):
        return None


def read_config(registry: Registry, run_id: str) -> dict[str, Any]:
    """Return the resolved configuration of a registry run; empty where it is missing or damaged.

    Raises:
        RegistryUnavailable: the registry or its files cannot be reached.
    """
    return _read_mapping(registry, run_id, CONFIG, parse_yaml)


def read_params(registry: Registry, run_id: str) -> dict[str, str]:
    """Return the parameters of a registry run, such as `model.seed`.

    Raises:
        RegistryUnavailable: the registry cannot be reached, or does not have the run.
    """
    with translate_faults(f"reading run {run_id}"):
        return dict(registry.store.client().get_run(run_id).data.params)


def read_metrics(registry: Registry, run_id: str) -> dict[str, float]:
    """Return the newest value of each number that a registry run logged.

    Raises:
        RegistryUnavailable: the registry cannot be reached, or does not have the run.
    """
    with translate_faults(f"reading run {run_id}"):
        return dict(registry.store.client().get_run(run_id).data.metrics)


def _read_mapping(
    registry: Registry, run_id: str, name: str, parse: Callable[[str], Any]
) -> dict[str, Any]:
    text = registry.find_text(run_id, name)
    try:
        found = parse(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def find_experiment(registry: Registry, run_id: str) -> str:
    """Return the id of a run's experiment, which is part of its files' addresses.

    Raises:
        RegistryUnavailable: the registry cannot be reached.
    """
    with translate_faults(f"reading run {run_id}"):
        return str(registry.store.client().get_run(run_id).info.experiment_id)


def find_start(registry: Registry, run_id: str) -> datetime:
    """Return when a release's run began.

    Raises:
        RegistryUnavailable: the registry cannot be reached, or does not have the run.
    """
    with translate_faults(f"reading run {run_id}"):
        started = registry.store.client().get_run(run_id).info.start_time
    return datetime.fromtimestamp(started / 1000, UTC)


def _read(run: Any, aliases: dict[str, list[str]], page: str) -> PastRelease:
    tags = dict(run.data.tags)
    experiment, run_id = run.info.experiment_id, run.info.run_id
    links = {
        "run": tags.get("prefect.flow_run_url", ""),
        "MLflow": name_run(page, experiment, run_id),
    }
    return PastRelease(
        started=datetime.fromtimestamp(run.info.start_time / 1000, UTC),
        status=run.info.status,
        tags=tags,
        figures=dict(run.data.metrics),
        aliases=tuple(sorted(aliases.get(tags.get(VERSION, ""), []))),
        links=links,
    )
