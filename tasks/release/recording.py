"""What the registry keeps of a release: verdicts as JSON, figures as pictures and numbers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.versions import FLOW_RUN
from sluice.home import find_home
from sluice.report.history import LONGEST, REASON, VERDICT
from sluice.verdict import Verdict
from tasks.release.release import Release, link_run

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.figure import Figure


def record_verdict(release: Release, verdict: Verdict) -> None:
    """Keep a verdict with the release's registry run: JSON, its outcome and reason as tags.

    Raises:
        Fault: the registry cannot be reached.
    """
    registry = open_registry(find_home())
    registry.log_json(release.run_id, f"verdicts/{verdict.gate}.json", verdict.to_dict())
    tags = {
        f"{VERDICT}{verdict.gate}": verdict.outcome.value,
        f"{REASON}{verdict.gate}": verdict.reason[:LONGEST],
    }
    registry.log_facts(release.run_id, tags=tags)


def record_figures(release: Release, figures: Mapping[str, "Figure"]) -> dict[str, bytes]:
    """Keep figures as PNG with the registry run, and give their bytes by name.

    Raises:
        Fault: the registry cannot be reached.
    """
    from sluice.plots.style import render_png

    registry = open_registry(find_home())
    pictures = {name: render_png(figure) for name, figure in figures.items()}
    for name, picture in pictures.items():
        registry.log_bytes(release.run_id, f"plots/{name}.png", picture)
    return pictures


def record_page(release: Release, page: Path | None) -> None:
    """Keep the validation's page with the registry run, where the registry's UI shows it.

    Raises:
        Fault: the registry cannot be reached.
    """
    if page is not None:
        registry = open_registry(find_home())
        registry.log_bytes(release.run_id, "data_docs/validation.html", page.read_bytes())


def record_bad_rows(release: Release, rows: "pa.Table") -> None:
    """Keep the rows that broke a rule with the registry run, as CSV; nothing where there are none.

    Raises:
        Fault: the registry cannot be reached.
    """
    if rows.num_rows:
        registry = open_registry(find_home())
        registry.log_text(release.run_id, "bad_rows.csv", rows.to_pandas().to_csv(index=False))


def find_verdicts(service: str, flow_run_id: str) -> tuple[list[Verdict], str]:
    """Give the verdicts that a flow run recorded so far, and the address of its registry page.

    Raises:
        Fault: the registry cannot be reached.
    """
    run_id = open_registry(find_home()).find_run(service, {FLOW_RUN: flow_run_id})
    return (read_verdicts(run_id), link_run(run_id)) if run_id else ([], "")


def read_verdicts(run_id: str) -> list[Verdict]:
    """Give the verdicts that a registry run holds, in the order of the gates.

    Raises:
        Fault: the registry cannot be reached.
    """
    registry = open_registry(find_home())
    texts = registry.read_texts(run_id, "verdicts")
    verdicts = [Verdict.from_dict(json.loads(text)) for text in texts.values()]
    order = ("data", "evaluation", "bias", "parity")
    return sorted(verdicts, key=lambda item: (order.index(item.gate), item.gate))
