"""Figures of windows of live traffic among a version's metrics: one step a window."""

from collections.abc import Mapping
from datetime import datetime
from itertools import islice

from sluice.adapters.registry.client import Registry
from sluice.adapters.registry.faults import translate_faults
from sluice.adapters.registry.runs import BATCH


def log_window(
    registry: Registry, run_id: str, figures: Mapping[str, float], end: datetime
) -> None:
    """Log the figures of a window; its end, in seconds since 1970, is the step and the time.

    The same window logged again changes nothing.

    Raises:
        RegistryUnavailable: the registry cannot be reached.
    """
    with translate_faults(f"recording a window of run {run_id}"):
        client = registry.store.client()
        from mlflow.entities import Metric

        moment = int(end.timestamp())
        rest = iter(
            [Metric(name, float(value), 1000 * moment, moment) for name, value in figures.items()]
        )
        while batch := list(islice(rest, BATCH)):
            client.log_batch(run_id, metrics=batch)
