"""The figures of all data sets as rows of a report, with their targets."""

from typing import Any

from benchmarks.harness.results import Row
from benchmarks.own_data.catalog import PublicData

WORSE = 0.01
"""Largest share by which the service's figure may be worse than the plain model's."""


def list_rows(found: dict[str, dict[str, Any]], catalog: tuple[PublicData, ...]) -> list[Row]:
    """Return each data set's figure beside the plain model's, and what must hold for all."""
    rows = [compare_figures(data.name, found[data.name]) for data in catalog]
    facts = list(found.values())
    costs = [cost for item in facts for cost in item["costs"].values()]
    served = [item["served"] for item in facts if item["served"]]
    unexplained = [
        data.name
        for data in catalog
        if found[data.name]["outcome"] != "champion" and not data.remark
    ]
    return [
        *[row for row in rows if row],
        Row(
            "columns left out that were not written down", count(facts, "undeclared"), "columns", 0
        ),
        Row("outcomes without a champion and without a remark", len(unexplained), "data sets", 0),
        Row("data sets that are served", len(served), "data sets"),
        Row("answers unlike the registered model", sum(s["differing"] for s in served), "rows", 0),
        Row("answers compared", sum(item["sent"] for item in served), "rows"),
        Row("commands: CPU of all", sum(cost["cpu"] for cost in costs), "s"),
        Row("commands: largest memory", max(cost["memory"] for cost in costs), "GB"),
        Row("gateways: CPU of all", sum(item["cpu"] for item in served), "s"),
    ]


def count(facts: list[dict[str, Any]], key: str) -> int:
    """Return how many entries of a list the data sets have together."""
    return sum(len(item.get(key, ())) for item in facts)


def compare_figures(name: str, facts: dict[str, Any]) -> Row | None:
    """Return the service's figure as a share of the plain model's on the same columns."""
    if "service" not in facts:
        return None
    share = facts["service"] / facts["plain"]
    title = f"{name}: {facts['metric']} beside plain boosting"
    if facts["greater_is_better"]:
        return Row(title, share, "share", 1.0 - WORSE, at_least=True)
    return Row(title, share, "share", 1.0 + WORSE)
