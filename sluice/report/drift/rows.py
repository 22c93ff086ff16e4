"""The words and figures of a report of drift, which its page, artifact and terminal share."""

from sluice.control.approval import write_moment
from sluice.drift.findings import ColumnDrift, SliceDrift
from sluice.drift.live.report import MEANINGS, DriftReport, KindReport, PerformanceView
from sluice.report.next_steps import WHO

OUTCOMES = {"alarm": "finding", "clean": "clean", "not judged": "not judged"}
HEADLINES = {
    "alarm": "Drift found",
    "clean": "No drift",
    "not judged": "Not judged: not enough data",
}

INPUTS = "length and new words of each variable, language, topic"
"""What is watched of the inputs of a prompt."""
VALUE_TESTS = ("distribution", "constant")
"""The findings about a column's values."""


def write_headline(report: DriftReport) -> str:
    """Return the first line of a report."""
    if report.outcome == "clean" and any(one.outcome == "alarm" for one in report.kinds):
        return "A finding, and no alarm yet"
    return HEADLINES[report.outcome]


def list_facts(report: DriftReport) -> list[tuple[str, str]]:
    """Return what was compared: name and value."""
    noun = "requests" if report.is_of_prompt else "rows"
    trained = f"v{report.version}, trained on data version {report.data_version}"
    serves = f"v{report.version} serves" if report.version else "none serves"
    return [
        (noun, f"{report.rows:,}"),
        ("file" if report.source else "window", report.subject),
        ("version", f"{serves}; requests to all count" if report.is_of_prompt else trained),
        ("reference", f"{report.reference}, {report.reference_rows:,} {noun}"),
    ]


def describe_kind(kind: KindReport, report: DriftReport) -> dict[str, str]:
    """Return a row of the table of kinds."""
    return {
        "kind": kind.kind,
        "this window": OUTCOMES[kind.outcome],
        "alarm": _describe_alarm(kind, report.has_history),
        "what": kind.reason or ", ".join(kind.features[:5]) or "-",
        "meaning": INPUTS if report.is_of_prompt else MEANINGS[kind.kind],
    }


def _describe_alarm(kind: KindReport, has_history: bool) -> str:
    if not has_history:
        return "found" if kind.is_open else "-"
    recent = "".join("x" if one else "." for one in kind.recent)
    windows = f" ({recent})" if recent else ""
    if kind.is_open:
        since = f" since {write_moment(kind.since)}" if kind.since else ""
        return f"open{since}{windows}"
    return f"{'closed now' if kind.change == 'closed' else 'closed'}{windows}"


def describe_column(found: ColumnDrift) -> dict[str, str]:
    """Return a row of the table of columns; a figure that is not known is a dash."""
    scores = found.scores
    tests = sorted((one for one in found.tests if one.p is not None), key=lambda one: not one.alarm)
    test = tests[0] if tests else None
    nulls = found.null_rates
    return {
        "column": found.column,
        "finding": ", ".join(found.alarms) or "-",
        "severity": found.severity if found.alarm or _is_judged(found) else "-",
        "JS": f"{scores.js:.3f}" if scores else "-",
        "PSI": f"{scores.psi:.3f}" if scores else "-",
        "KL": f"{scores.kl:.3f}" if scores else "-",
        "p": write_p(test.p) if test and test.p is not None else "-",
        "nulls": f"{100 * nulls[0]:.1f} to {100 * nulls[1]:.1f} %" if nulls else "-",
        "importance": "-" if found.importance is None else f"{100 * found.importance:.0f} %",
        "note": describe_notes(found),
    }


def write_p(p: float) -> str:
    """Return a p-value for people."""
    return "< 1e-12" if p < 1e-12 else f"{p:.2g}"


def describe_notes(found: ColumnDrift) -> str:
    """Return what is to be said about a column: notes of findings, new levels, what is missing."""
    notes = [one.note for one in found.tests if one.alarm and one.note]
    notes += [f"new: {', '.join(found.new_levels)}"] if found.new_levels else []
    if not _is_judged(found):
        notes += sorted({one.reason for one in found.tests if one.reason})
    return "; ".join(notes)


def _is_judged(found: ColumnDrift) -> bool:
    """Return whether the values could be judged: else their scores may be chance alone."""
    return any(one.judged and one.finding in VALUE_TESTS for one in found.tests)


def describe_slice(one: SliceDrift) -> dict[str, str]:
    """Return a row of the table of slices."""
    moved = ", ".join(
        f"{column.column} ({f'{column.drift:.2f}' if column.is_measured else column.alarms[0]})"
        for column in one.alarmed[:5]
    )
    return {
        "slice": one.name,
        "rows": f"{one.rows:,}",
        "what moved (JS)": one.reason or moved or "nothing",
    }


def describe_joint(report: DriftReport) -> str:
    """Return what the classifier found, in a sentence; empty where it did not look."""
    joint = report.joint
    if joint is None:
        return ""
    if joint.auc is None or joint.bounds is None:
        return f"Not judged: {joint.reason}."
    low, high = joint.bounds
    words = (
        f"A classifier tells {joint.rows:,} rows of the window from {joint.reference_rows:,} of "
        f"the reference with AUC {joint.auc:.3f} (98 % interval {low:.3f} to {high:.3f}; .5 = not "
        "at all; a finding where the lower bound is above .55)."
    )
    carried = ", ".join(f"{one.column} ({one.loss:.3f})" for one in joint.carriers[:5])
    return f"{words} It is carried by: {carried}." if carried else words


def describe_performance(view: PerformanceView | None) -> list[tuple[str, str]]:
    """Return measured and estimated performance: name and words."""
    if view is None:
        return [("performance", "not looked at: rows of a file have no answers")]
    rows = []
    if view.metric:
        rows.append((f"{view.metric} at the release", _write_figure(view.baseline)))
    if view.measured is not None and view.measured_end is not None:
        state = {True: ", dropped", False: ", no drop", None: ""}[view.dropped]
        rows.append(
            (
                f"{view.metric} measured",
                f"{_write_figure(view.measured)}{state}, on {view.measured_rows:,} labelled "
                f"answers up to {write_moment(view.measured_end)}",
            )
        )
    if view.estimated is not None:
        state = {True: ", dropped", False: ", no drop", None: ", not judged"}[view.estimated_alarm]
        rows.append(
            (
                f"{view.estimated_metric} estimated",
                f"{_write_figure(view.estimated)}{state}, estimated "
                f"{_write_figure(view.estimated_baseline)} at the release, {view.estimated_rows:,} "
                "answers",
            )
        )
        rows.append(("the estimate is blind", view.blindness))
    rows += [("note", one) for one in view.notes]
    return rows


def _write_figure(value: float | None) -> str:
    return "not known" if value is None else f"{value:.4g}"


def advise(report: DriftReport) -> list[str]:
    """Return what a person does next, most urgent first."""
    if report.is_of_prompt:
        return _advise_prompt(report)
    found = {one.kind for one in report.kinds if one.is_open or one.outcome == "alarm"}
    steps = []
    if "upstream" in found:
        steps.append(
            "A break upstream: look at what sends or prepares these columns, and what was deployed "
            "there last. A model cannot be right on columns that are gone."
        )
    if report.performance is not None and report.performance.dropped:
        steps.append(
            "Measured performance dropped: if a version was promoted when it began, `sluice "
            f"rollback {report.service} {WHO}`; else repair the source of the data, or `sluice "
            f"release {report.service}` on newer labels."
        )
    if found & {"data", "joint"}:
        steps.append(
            "Inputs moved: look at the first columns and slices. Is it the season, a campaign, "
            "a new source? Other people alone are no reason to retrain; see the performance."
        )
    if "prediction" in found:
        steps.append("Answers moved: compare with the inputs. Answers alone hint at the model.")
    if "label" in found:
        steps.append("Outcomes moved: the base rate is another one; see measured performance.")
    if report.outcome == "not judged" and report.source:
        steps.append("Bring a file with more rows: 500 of a column decide.")
    elif report.outcome == "not judged":
        steps.append("Wait for more traffic, or take longer windows (`drift.window_hours`).")
    return steps


def _advise_prompt(report: DriftReport) -> list[str]:
    if report.outcome == "alarm":
        return [
            "Inputs moved: look at the first columns. Add inputs of the new kind to "
            f"`prompts/{report.service}/eval_set.jsonl`, then `sluice prompt evaluate "
            f"{report.service}`: what serves was judged on other ones."
        ]
    if report.outcome == "not judged":
        return ["Wait for more requests, or name a longer window: `--window '7 d'`."]
    return []
