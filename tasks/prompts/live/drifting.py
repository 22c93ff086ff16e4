"""Drift of a prompt's inputs: each day against the days before, or a window that was asked for."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from sluice.adapters.control.store import prepare_control
from sluice.adapters.prompt_wishes import find_serving
from sluice.adapters.traffic.calls import LoggedCall, sample_calls
from sluice.documents import DocumentInvalid, parse_json
from sluice.drift.live.report import DriftReport
from sluice.drift.live.schedule import Window
from sluice.home import find_home
from sluice.monitoring.signals import Signal
from sluice.prompts.live.samples import start_of_day

DRIFTED = "input drift"
"""Subject of the watermark of the last day whose inputs were judged."""
DAY, BEFORE = timedelta(days=1), timedelta(days=7)
MOST = 5_000
"""Most requests of either side, chosen by their ids."""


def judge_input_drift(prompt: str, until: datetime) -> int:
    """Judge the last whole day by UTC against the seven days before it, once; return its columns.

    `until` is when the traffic log is complete. The control store gets a signal for each column:
    length and new words of each variable, language, topic. The rule `feature-drift` judges them.

    Raises:
        Fault: the control store or a table cannot be reached.
    """
    home, control, end = find_home(), prepare_control(), start_of_day(until)
    seen = control.watermarks.find(prompt, DRIFTED)
    if seen.mark == end.isoformat():
        return 0
    start = end - DAY
    current = list(_read(sample_calls(home, prompt, start, end, 1.0, MOST)))
    reference = list(_read(sample_calls(home, prompt, start - BEFORE, start, 1.0, MOST)))
    signals: list[Signal] = []
    if current and reference:
        from sluice.drift.prompts import judge_inputs

        signals = [
            Signal(
                prompt,
                "feature-psi",
                start,
                end,
                one.scores.psi,
                one.rows,
                subject=one.column,
                confirmed=one.alarm,
            )
            for one in judge_inputs(prompt, reference, current).columns
            if one.scores is not None
        ]
        control.signals.record(signals)
    control.watermarks.move(seen, seen.settle(end.isoformat()))
    return len(signals)


def examine_inputs(prompt: str, window: Window) -> DriftReport:
    """Return the report of a window's inputs against the seven days before it; record nothing.

    Raises:
        Fault: the control store or a table cannot be reached.
    """
    home, serving = find_home(), find_serving(prepare_control(), prompt)
    current = list(_read(sample_calls(home, prompt, window.start, window.end, 1.0, MOST)))
    before = window.start - BEFORE
    reference = list(_read(sample_calls(home, prompt, before, window.start, 1.0, MOST)))
    about = DriftReport(
        service=prompt,
        version=serving or 0,
        data_version=None,
        reference=f"the {BEFORE.days} days before",
        window=window,
        source="",
        rows=0,
        reference_rows=0,
        kinds=(),
        columns={},
        notes=(f"At most {MOST:,} requests of either side are read, the newest ones.",),
    )
    from sluice.drift.prompts import report_inputs

    return report_inputs(about, reference, current)


def find_last_day(now: datetime) -> Window:
    """Return the last whole day, by UTC."""
    end = start_of_day(now)
    return Window(end - DAY, end)


def _read(calls: list[LoggedCall]) -> Iterator[Mapping[str, str]]:
    """Yield the variables of calls; a text without a name is `text`, passages are left out."""
    for call in calls:
        try:
            asked = parse_json(call.inputs)
        except DocumentInvalid:
            continue
        found = asked.get("variables") if isinstance(asked, dict) else None
        if isinstance(found, str):
            yield {"text": found}
        elif isinstance(found, dict):
            yield {str(name): str(value) for name, value in found.items()}
