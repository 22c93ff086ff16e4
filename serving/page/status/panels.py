"""The panels of one service's page beside its rollouts: its standing, and what happened to it."""

from collections.abc import Iterator, Sequence

from serving.page.markup import Html, element, join, render_code
from serving.page.panels import fold
from serving.page.status.cells import (
    BAD,
    GOOD,
    UNKNOWN,
    WAIT,
    find_now,
    render_label,
    render_links,
    render_outcome,
    render_report,
)
from serving.page.status.facts import PageAddresses, ServiceCard, ServiceHistory
from serving.page.status.overview import list_cells
from serving.page.wording import write_time, write_version
from sluice.control.drift import DriftedFeature, DriftState, WindowOutcome
from sluice.control.health import AlertStatus
from sluice.control.release import PASSED, GateResult, ReleaseRecord
from sluice.control.timeline import TimelineEntry

SHOWN = 3
"""Entries that are shown at once; the others unfold."""
QUIET, UNJUDGED = "quiet", "not judged"
GATES = {PASSED: GOOD, "fail": BAD}


def render_standing(card: ServiceCard, addresses: PageAddresses) -> Html:
    """Render every fact of a service at a glance."""
    facts = [
        element("div", element("dt", label), element("dd", body))
        for label, body in list_cells(card, addresses, find_now())
    ]
    return join(element("h2", "At a glance"), element("dl", *facts, class_="glance"))


def render_releases(releases: Sequence[ReleaseRecord], addresses: PageAddresses) -> Html:
    """Render the last releases with what each gate concluded."""
    head = element("h2", "Releases")
    if not releases:
        return join(head, _faint("None on record yet."))
    items = [_render_release(one, addresses) for one in releases]
    return join(head, *fold(items, SHOWN, "releases"))


def _render_release(release: ReleaseRecord, addresses: PageAddresses) -> Html:
    gates = [_render_gate(one) for one in release.gates]
    last = release.gates[-1] if release.gates else None
    reason = release.message
    if last is not None and last.outcome != PASSED and not reason:
        reason = last.reason
    when = write_time(release.ended or release.started)
    return element(
        "li",
        element("div", render_outcome(release), element("small", when), class_="when"),
        element("p", *gates, class_="marks") if gates else None,
        element("p", render_code(reason)) if reason else None,
        element(
            "div",
            element("small", f"data v{release.data_version}, {release.cause}"),
            render_links(release, addresses),
            class_="who",
        ),
    )


def _render_gate(result: GateResult) -> Html:
    kind = GATES.get(result.outcome, WAIT)
    text = f"{result.gate}: {result.outcome}"
    return element("span", text, class_=f"label {kind}", title=result.reason)


def render_drift_panel(states: Sequence[DriftState] | None, changes: Sequence[DriftState]) -> Html:
    """Render the newest judged window of each kind of drift, and the alarms before it."""
    head = element("h2", "Drift")
    if states is None:
        words = "Not measured yet: no window of this service's traffic was judged."
        return join(head, _faint(words))
    items = [_render_state(one) for one in sorted(states, key=lambda one: not one.is_open)]
    parts = [head, element("ol", *items, class_="log")]
    if changes:
        rows = [_render_change(one) for one in changes]
        label = element("summary", f"{len(rows)} change{'s' if len(rows) != 1 else ''} of alarms")
        changed = element("ol", *rows, class_="log")
        parts.append(element("details", label, changed, id="earlier-drift"))
    return join(*parts)


def _render_state(state: DriftState) -> Html:
    if state.is_open:
        label = render_label(BAD, "open")
    elif state.outcome is WindowOutcome.NOT_JUDGED:
        label = render_label(UNKNOWN, str(state.outcome))
    else:
        label = render_label(GOOD, "none")
    window = join(write_time(state.start), " to ", write_time(state.end))
    name = join(element("b", state.kind), f" against {state.reference} ", label)
    rows = f"{write_version(state.version)}, {state.rows:,} rows, "
    return element(
        "li",
        element("div", element("span", name), element("small", rows, window), class_="when"),
        element("p", state.reason) if state.reason else None,
        _render_features(state),
        element("div", _render_recent(state), render_report(state), class_="who"),
    )


def _render_features(state: DriftState) -> Html | None:
    """Render the features with a finding, and fold the others; none of a window not judged."""
    if state.outcome is WindowOutcome.NOT_JUDGED:
        return None
    found = [one for one in state.features if one.findings]
    others = [one for one in state.features if not one.findings]
    count = f"{len(others)} feature{'s' if len(others) != 1 else ''} without a finding"
    folded = element(
        "details",
        element("summary", count),
        _render_table(others),
        id=f"others-{state.kind}-{state.reference}",
    )
    return join(_render_table(found) if found else None, folded if others else None)


def _render_table(features: Sequence[DriftedFeature]) -> Html:
    rows = [
        element(
            "tr",
            element("th", feature.name, scope="row"),
            element("td", ", ".join((feature.severity, *feature.findings)).strip(", ")),
            element("td", ", ".join(_write_scores(feature)), class_="figure"),
        )
        for feature in features
    ]
    return element("div", element("table", element("tbody", *rows)), class_="wide")


def _write_scores(feature: DriftedFeature) -> Iterator[str]:
    for name, score in feature.scores.items():
        yield f"{name} {'not judged' if score is None else f'{score:.3g}'}"


def _render_recent(state: DriftState) -> Html:
    if not state.recent:
        return element("small", "no window could be judged yet")
    alarms = sum(state.recent)
    count = len(state.recent)
    return element("small", f"{alarms} of the last {count} windows alarm")


def _render_change(state: DriftState) -> Html:
    text = join(element("b", f"{state.kind} {state.change}"), f" against {state.reference}")
    names = ", ".join(one.name for one in state.features)
    return element(
        "li",
        element(
            "div", element("span", text), element("small", write_time(state.end)), class_="when"
        ),
        element("p", names) if names else None,
    )


def render_alerts_panel(alerts: Sequence[AlertStatus] | None) -> Html:
    """Render each rule that is not quiet, and count the others."""
    head = element("h2", "Alerts")
    if alerts is None:
        return join(head, _faint("Not measured yet: no rule of monitoring was judged."))
    active = [item for item in alerts if item.phase != QUIET or item.silenced_until is not None]
    quiet = [item for item in alerts if item not in active]
    unjudged = [item.rule for item in quiet if item.outcome == UNJUDGED]
    holds = len(quiet) - len(unjudged)
    items = [_render_alert(item) for item in sorted(active, key=lambda item: not item.is_firing)]
    return join(
        head,
        element("ol", *items, class_="log") if items else None,
        _faint(f"{holds} rule{'s' if holds != 1 else ''} hold{'s' if holds == 1 else ''}."),
        _faint(f"Not judged: {', '.join(unjudged)}.") if unjudged else None,
    )


def _render_alert(alert: AlertStatus) -> Html:
    label = render_label(BAD if alert.is_firing else WAIT, alert.phase)
    silenced = None
    if alert.silenced_until is not None:
        silenced = element("small", "silenced until ", write_time(alert.silenced_until))
    name = join(element("b", alert.rule), " ", label)
    return element(
        "li",
        element(
            "div",
            element("span", name),
            element("small", "since ", write_time(alert.since)),
            class_="when",
        ),
        element("p", alert.reason),
        element("div", silenced, class_="who") if silenced else None,
    )


def render_timeline(history: ServiceHistory) -> Html:
    """Render what was done to the service, by whom, when and why."""
    head = element("h2", "Timeline")
    if not history.timeline:
        return join(head, _faint("Nothing on record yet."))
    items = [_render_entry(entry) for entry in history.timeline]
    return join(head, *fold(items, 2 * SHOWN, "timeline"))


def _render_entry(entry: TimelineEntry) -> Html:
    version = f" {write_version(entry.version)}" if entry.version else ""
    by = f"by {entry.by}" if entry.by else ""
    action = element("span", element("b", entry.action), version)
    return element(
        "li",
        element("div", action, element("small", write_time(entry.at)), class_="when"),
        element("p", render_code(entry.message)) if entry.message else None,
        element(
            "div", element("small", entry.reason), element("span", by, class_="by"), class_="who"
        )
        if entry.reason or by
        else None,
    )


def _faint(text: str) -> Html:
    return element("p", text, class_="faint")
