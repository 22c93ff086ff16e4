"""The report of a benchmark: a table, the missed targets, and a committed JSON file."""

import json
import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).resolve().parents[1] / "results"
PACKAGES = (
    "prefect",
    "mlflow",
    "great-expectations",
    "scikit-learn",
    "onnxruntime",
    "numpy",
    "pandas",
)


@dataclass(frozen=True)
class Row:
    """One measured figure; `target` is its upper limit, None without a target.

    `at_least`: the target is a lower limit.
    """

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the figure meets its target; None without a target."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


def report(name: str, rows: list[Row], notes: dict[str, Any] | None = None) -> None:
    """Print the rows and write them to `results/NAME.json`."""
    table = Table(title=name, title_justify="left", show_edge=False)
    for column in ("figure", "value", "unit", "target", "met"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for row in rows:
        sign = ">= " if row.at_least else ""
        target = "" if row.target is None else f"{sign}{row.target:g}"
        met = "" if row.met is None else ("yes" if row.met else "no")
        table.add_row(row.name, f"{row.value:.3f}", row.unit, target, met)
    Console().print(table)
    missed = [row.name for row in rows if row.met is False]
    print("targets missed:", ", ".join(missed) or "none")
    content = {
        "machine": {"cpus": os.cpu_count(), "system": platform.platform(terse=True)},
        "versions": {"python": platform.python_version(), **{p: version(p) for p in PACKAGES}},
        "rows": [_write_row(row) for row in rows],
        **({"notes": notes} if notes else {}),
    }
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")


def _write_row(row: Row) -> dict[str, Any]:
    """Return a row as it is written; `at_least` is left out where it is false."""
    values = {**asdict(row), "met": row.met}
    return values if row.at_least else {k: v for k, v in values.items() if k != "at_least"}
