"""The panel of a service's experiment: its step, its arms, what was found and decided."""

from collections.abc import Iterator
from datetime import UTC, datetime

from serving.page.markup import Html, element, join, render_code
from sluice.experiments.comparison import MetricResult
from sluice.experiments.record import ExperimentPhase, ExperimentRecord
from sluice.report.experiments.rows import describe_metric, list_counts, list_state

NEXT = {
    ExperimentPhase.PLANNED: "start {}",
    ExperimentPhase.RUNNING: "status {}",
    ExperimentPhase.ENDED: "analyse {}",
    ExperimentPhase.ANALYSED: "decide {} CHOICE --by NAME --reason WORDS",
}
"""The command that comes next; none once it is decided."""


def render_experiment(record: ExperimentRecord | None, now: datetime | None = None) -> Html | None:
    """Render the experiment that was planned last; None where there is none."""
    if record is None:
        return None
    facts = [*list_state(record, now or datetime.now(UTC)), *list_counts(record)]
    command = NEXT.get(record.phase)
    text = f"`sluice experiment {command.format(record.name)}`" if command else ""
    return join(
        element("h2", f"Experiment {record.name}"),
        element("p", record.config.hypothesis, class_="faint"),
        *_list_findings(record),
        element("dl", *(_render_fact(*fact) for fact in facts), class_="facts"),
        element("p", element("b", "Next: "), render_code(text), class_="next") if text else None,
    )


def _list_findings(record: ExperimentRecord) -> Iterator[Html]:
    decision, found = record.decision, record.analysis
    if decision is not None:
        text = f", by {decision.by}: {decision.reason}"
        yield element("p", element("b", decision.choice), text, class_="reason")
    if found is None:
        return
    if found.stopped:
        yield element("p", f"Nothing was analysed: {found.stopped}", class_="alert", role="alert")
        return
    rows = [_render_metric(item) for item in found.metrics]
    yield element("div", element("table", element("tbody", *rows)), class_="wide")


def _render_metric(result: MetricResult) -> Html:
    return element("tr", *(element("td", cell) for cell in describe_metric(result)))


def _render_fact(name: str, text: str) -> Html:
    return element("div", element("dt", name), element("dd", text))
