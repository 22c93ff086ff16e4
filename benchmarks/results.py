"""How a benchmark reports: a table, the targets it missed, and a JSON file that is committed."""

import json
import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).resolve().parent / "results"
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
    """One measured figure; `target` is None where none was set."""

    name: str
    value: float
    unit: str
    target: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the figure is at most its target."""
        return None if self.target is None else self.value <= self.target


def report(name: str, rows: list[Row], notes: dict[str, Any] | None = None) -> None:
    """Print the rows and keep them as `results/NAME.json`."""
    table = Table(title=name, title_justify="left", show_edge=False)
    for column in ("figure", "value", "unit", "target", "met"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for row in rows:
        target = "" if row.target is None else f"{row.target:g}"
        met = "" if row.met is None else ("yes" if row.met else "no")
        table.add_row(row.name, f"{row.value:.3f}", row.unit, target, met)
    Console().print(table)
    missed = [row.name for row in rows if row.met is False]
    print("targets missed:", ", ".join(missed) or "none")
    content = {
        "machine": {"cpus": os.cpu_count(), "system": platform.platform(terse=True)},
        "versions": {"python": platform.python_version(), **{p: version(p) for p in PACKAGES}},
        "rows": [{**asdict(row), "met": row.met} for row in rows],
        **({"notes": notes} if notes else {}),
    }
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
