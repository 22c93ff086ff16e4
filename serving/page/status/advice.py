"""What a person does about a service: for each finding what it means, where to look, what to do."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from serving.page.markup import Child, Html, element, join, render_code
from serving.page.status.cells import (
    BAD,
    render_label,
    render_report,
    write_comparison,
)
from serving.page.status.facts import ServiceCard
from sluice.config.monitoring.rules import Runbook
from sluice.control.drift import DriftState
from sluice.control.release import HALTED
from sluice.report.next_steps import WHO

DROP_RULE = "performance-drop"
"""The rule whose alert is about a drop of performance, too."""
WHOLE_REPORT = "`sluice drift {service} --report drift.html` writes the whole report"
DRIFT = {
    "upstream": Runbook(
        means="The pipeline before the model changed: a column is gone, has another type, is null "
        "in every row, or has levels that training did not have.",
        look="What sends or prepares the column, and its last deployment.",
        do="Repair it there. A rollback helps only if the previous version does not read the "
        "column.",
    ),
    "data": Runbook(
        means="Single features have another distribution or another share of nulls.",
        look="The first features: they matter most to the model. The performance, beside.",
        do="Nothing at night while the performance holds. Ask the team that owns the source.",
    ),
    "joint": Runbook(
        means="All features together look unlike the reference.",
        look="The columns that carry it, in the report.",
        do="If no single feature moved, a relation between columns changed: look for a wrong join "
        "or a unit.",
    ),
    "prediction": Runbook(
        means="The model answers otherwise than on its held-out rows.",
        look="Whether the inputs moved, too.",
        do="If they did, it follows from them. If not, check which version answers, and its "
        "export.",
    ),
    "label": Runbook(
        means="The outcomes that feedback brought are others than in training.",
        look="The measured performance, and who sends feedback.",
        do="If the base rate changed: `sluice release {service}` on newer labels.",
    ),
}
"""What to do about each kind of drift; docs/drift.md says more."""
DROPPED = Runbook(
    means="Labels show that the version is wrong more often than at its release.",
    look="The timeline: was a version promoted when it began? The report: which slices fell?",
    do=f"If a promotion began it: `sluice rollback {{service}} {WHO}`. Else repair the source of "
    "the data, or `sluice release {service}` on newer labels.",
)
ESTIMATED = Runbook(
    means="Without labels: these inputs are where the model was weak on held-out rows. It is an "
    "estimate, and cannot see that the same inputs have other outcomes now.",
    look="Which features moved.",
    do="Get labels for such rows, and send them to the gateway as feedback.",
)


@dataclass(frozen=True)
class AdviceItem:
    """One finding: its name, its figures, what to do, and further links or commands."""

    name: str
    figures: str
    book: Runbook | None
    more: Child = None


def render_advice(card: ServiceCard, runbooks: Mapping[str, Runbook]) -> Html | None:
    """Render each finding of a service with what to do; None where there is nothing to do."""
    service = card.standing.row.service
    items = [_render(one, service) for one in list_findings(card, runbooks)]
    if not items:
        return None
    return element(
        "section",
        element("h2", "What to do"),
        element("ol", *items, class_="log advice"),
        id="advice",
    )


def list_findings(card: ServiceCard, runbooks: Mapping[str, Runbook]) -> Iterator[AdviceItem]:
    """Return what was found about a service, the gravest first."""
    standing = card.standing
    service = standing.row.service
    raised: set[str] = set()
    for alert in standing.health.alerts or ():
        if alert.is_firing and alert.silenced_until is None:
            quiet = f"`sluice monitoring silence {alert.rule} {service} --until '4 h' {WHO}` stops "
            quiet += "its messages while you work"
            yield AdviceItem(alert.rule, alert.reason, runbooks.get(alert.rule), render_code(quiet))
            raised.add(alert.rule)
    found = standing.health.performance
    if found is not None and standing.has_dropped and DROP_RULE not in raised:
        name = "estimated performance" if found.is_estimated else "performance dropped"
        book = ESTIMATED if found.is_estimated else DROPPED
        dropped = f"Slices that dropped: {'; '.join(found.slices)}." if found.slices else None
        yield AdviceItem(name, write_comparison(found), book, dropped)
    for place, state in enumerate(standing.open_drift):
        link = None if place else _link_report(state)
        yield AdviceItem(f"{state.kind} drift", _name_features(state), DRIFT[state.kind], link)
    release = standing.release
    if release is not None and release.outcome == HALTED:
        yield AdviceItem("last release halted", release.message, None)


def _name_features(state: DriftState) -> str:
    """Return the features with a finding, else the reason; the report has their figures."""
    return ", ".join(one.name for one in state.features if one.findings) or state.reason


def _link_report(state: DriftState) -> Html:
    command = render_code(WHOLE_REPORT.format(service=state.service))
    return join(render_report(state), command)


def _render(finding: AdviceItem, service: str) -> Html:
    book = finding.book.name_service(service) if finding.book else None
    lines = [("", book.means), ("Look at: ", book.look), ("Do: ", book.do)] if book else []
    return element(
        "li",
        element("p", render_label(BAD, finding.name), " ", render_code(finding.figures)),
        *(
            element("p", element("b", name), render_code(words.replace("{service}", service)))
            for name, words in lines
        ),
        element("p", finding.more, class_="faint") if finding.more else None,
    )
