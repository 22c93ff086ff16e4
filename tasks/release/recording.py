"""The record of a release in the registry: verdicts as JSON, figures as plots and numbers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sluice.adapters.control.store import prepare_control
from sluice.adapters.registry import history
from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.versions import FLOW_RUN
from sluice.control.admission import VERDICT
from sluice.control.release import GateResult
from sluice.home import find_home
from sluice.report.history import MAX_REASON, REASON
from sluice.verdict import Verdict
from tasks.release.release import Release
from tasks.run.links import link_run

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.figure import Figure

    from sluice.models.importance import Importance


def record_verdict(release: Release, verdict: Verdict) -> None:
    """Record a verdict: as JSON and tags of the registry run, in short in the control store.

    Raises:
        Fault: the registry or the control store cannot be reached.
    """
    registry = open_registry(find_home())
    registry.log_json(release.run_id, f"verdicts/{verdict.gate}.json", verdict.to_dict())
    tags = {
        f"{VERDICT}{verdict.gate}": verdict.outcome.value,
        f"{REASON}{verdict.gate}": verdict.reason[:MAX_REASON],
    }
    registry.log_facts(release.run_id, tags=tags)
    result = GateResult(verdict.gate, verdict.outcome.value, verdict.reason[:MAX_REASON])
    prepare_control().releases.add_gate(release.service, release.run_id, result)


def record_figures(release: Release, figures: Mapping[str, "Figure"]) -> dict[str, bytes]:
    """Log figures as PNG to the registry run, and return their bytes by name.

    Raises:
        Fault: the registry cannot be reached.
    """
    from sluice.plots.style import render_png

    registry = open_registry(find_home())
    pictures = {name: render_png(figure) for name, figure in figures.items()}
    for name, picture in pictures.items():
        registry.log_bytes(release.run_id, f"plots/{name}.png", picture)
    return pictures


def record_importance(release: Release, importance: Sequence["Importance"]) -> None:
    """Log each feature's permutation importance to the registry run, where it was measured.

    Raises:
        Fault: the registry cannot be reached.
    """
    registry = open_registry(find_home())
    found = {item.feature: item.mean for item in importance}
    registry.log_json(release.run_id, history.IMPORTANCE, found)


def record_page(release: Release, page: Path | None) -> None:
    """Log the data-docs page to the registry run, where the registry's UI shows it.

    Raises:
        Fault: the registry cannot be reached.
    """
    if page is not None:
        registry = open_registry(find_home())
        registry.log_bytes(release.run_id, "data_docs/validation.html", page.read_bytes())


def record_bad_rows(release: Release, rows: "pa.Table") -> None:
    """Log the rows that broke a rule to the registry run, as CSV, if there are any.

    Raises:
        Fault: the registry cannot be reached.
    """
    if rows.num_rows:
        registry = open_registry(find_home())
        registry.log_text(release.run_id, "bad_rows.csv", rows.to_pandas().to_csv(index=False))


def find_verdicts(service: str, flow_run_id: str) -> tuple[list[Verdict], str]:
    """Return the verdicts that a flow run has recorded, and the address of its registry page.

    Raises:
        Fault: the registry cannot be reached.
    """
    registry = open_registry(find_home())
    run_id = registry.find_run(service, {FLOW_RUN: flow_run_id})
    if not run_id:
        return [], ""
    return read_verdicts(run_id), link_run(history.find_experiment(registry, run_id), run_id)


def read_verdicts(run_id: str) -> list[Verdict]:
    """Return the verdicts of a registry run, in the order of the gates.

    Raises:
        DataInvalid: a verdict's file is damaged.
        Fault: the registry cannot be reached.
    """
    return history.read_verdicts(open_registry(find_home()), run_id)
