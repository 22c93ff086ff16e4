"""The counts of a replay: answers by arm and version, their times, errors, feedback."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

PERCENTILES = (50, 95, 99)
NONE = "-"
"""A figure that no answer gives."""
AnswerSource = tuple[str, int]
"""The arm to which a request was assigned, and the version that answered it."""


@dataclass
class SourceAnswers:
    """One source's answers: times from the planned time in ms, and how many were right."""

    times: list[float] = field(default_factory=list)
    right: int = 0


@dataclass
class ReplayTally:
    """The counts of a replay; `late` is the longest delay behind the plan, in seconds."""

    sent: int = 0
    answers: dict[AnswerSource, SourceAnswers] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    feedback_sent: int = 0
    feedback_lost: int = 0
    late: float = 0.0
    _recent: list[float] = field(default_factory=list)

    @property
    def answered(self) -> int:
        """The number of requests that were answered with a prediction."""
        return sum(len(item.times) for item in self.answers.values())

    def count_answer(self, source: AnswerSource, milliseconds: float, right: bool) -> None:
        """Count a prediction that came so many milliseconds after its planned time."""
        found = self.answers.setdefault(source, SourceAnswers())
        found.times.append(milliseconds)
        found.right += right
        self._recent.append(milliseconds)

    def take_line(self, second: int, seconds: float) -> str:
        """Return a line of progress; its times are of the answers since the last line."""
        times = describe_times(self._recent)
        self._recent = []
        arms: Counter[str] = Counter()
        for (arm, _), item in self.answers.items():
            arms[arm] += len(item.times)
        shown = ", ".join(f"{arm} {arms[arm]:,}" for arm in sorted(arms)) or "none"
        return (
            f"{second:4d} s of {seconds:g}  sent {self.sent:,}  answered {self.answered:,} "
            f"({shown})  errors {self.errors.total():,}  "
            f"{times}  feedback {self.feedback_sent:,}"
        )

    def build_rows(self, scored: bool) -> list[dict[str, Any]]:
        """Return one row per source and one of all; `scored` adds the share of right answers."""
        rows = [
            _build_row(arm, str(version), item, self.answered, scored)
            for (arm, version), item in sorted(self.answers.items())
        ]
        times = [time for item in self.answers.values() for time in item.times]
        right = sum(item.right for item in self.answers.values())
        return [*rows, _build_row("all", "", SourceAnswers(times, right), self.answered, scored)]

    def write_json(self) -> str:
        """Write the counts as JSON, without the times."""
        sources = [
            {"arm": arm, "version": version, "answers": len(item.times), "right": item.right}
            for (arm, version), item in sorted(self.answers.items())
        ]
        counts = {"sent": self.sent, "feedback": self.feedback_sent, "late_seconds": self.late}
        return json.dumps({**counts, "sources": sources, "errors": dict(self.errors)})

    def conclude(self) -> list[str]:
        """Return the lines below the table: requests, errors, feedback."""
        errors = ", ".join(f"{kind}: {n:,}" for kind, n in sorted(self.errors.items())) or "none"
        lines = [f"sent {self.sent:,}, answered {self.answered:,}; errors {errors}"]
        lost = f", {self.feedback_lost:,} rejected or not sent" if self.feedback_lost else ""
        lines.append(f"feedback on {self.feedback_sent:,} answers{lost}")
        if self.late > 1:
            lines.append(f"this client sent up to {self.late:.1f} s late: choose a lower rate")
        return lines


def find_percentiles(times: list[float], wanted: tuple[int, ...]) -> tuple[float, ...]:
    """Return percentiles; none without any time."""
    return tuple(float(item) for item in np.percentile(times, wanted)) if times else ()


def describe_times(times: list[float]) -> str:
    """Return the median and the 95th percentile of times in ms, or that there are none."""
    found = find_percentiles(times, (50, 95))
    return "p50 {:.1f} ms  p95 {:.1f} ms".format(*found) if found else "no answer"


def _build_row(
    arm: str, version: str, item: SourceAnswers, total: int, scored: bool
) -> dict[str, Any]:
    answered = len(item.times)
    row = {
        "assigned arm": arm,
        "answered by": f"v{version}" if version else "",
        "answers": f"{answered:,}",
        "share": f"{answered / total:.1%}" if total else NONE,
    }
    times = find_percentiles(item.times, PERCENTILES)
    for place, percentile in enumerate(PERCENTILES):
        row[f"p{percentile} ms"] = f"{times[place]:.1f}" if times else NONE
    return {**row, "right": f"{item.right / answered:.1%}" if answered else NONE} if scored else row
