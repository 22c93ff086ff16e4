"""What a replay saw: answers by arm and version with their times, errors, feedback."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Source = tuple[str, int]
"""The arm that a request was assigned to, and the version that answered it."""


@dataclass
class Answers:
    """One source's answers: times from the planned moment in ms, and how many were right."""

    times: list[float] = field(default_factory=list)
    right: int = 0


@dataclass
class ReplayTally:
    """Everything that a replay counts; `late`: seconds that it sent behind its plan, at worst."""

    sent: int = 0
    answers: dict[Source, Answers] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    told: int = 0
    untold: int = 0
    late: float = 0.0
    _recent: list[float] = field(default_factory=list)

    @property
    def answered(self) -> int:
        """How many requests were answered with a prediction."""
        return sum(len(item.times) for item in self.answers.values())

    def count_answer(self, source: Source, milliseconds: float, right: bool) -> None:
        """Count a prediction that came so many milliseconds after its planned moment."""
        found = self.answers.setdefault(source, Answers())
        found.times.append(milliseconds)
        found.right += right
        self._recent.append(milliseconds)

    def take_line(self, second: int, seconds: float) -> str:
        """Give one line of progress, its times those since the last line."""
        p50, p95 = find_percentiles(self._recent, (50, 95))
        self._recent = []
        arms: Counter[str] = Counter()
        for (arm, _), item in self.answers.items():
            arms[arm] += len(item.times)
        shown = ", ".join(f"{arm} {arms[arm]:,}" for arm in sorted(arms)) or "none"
        return (
            f"{second:4d} s of {seconds:g}  sent {self.sent:,}  answered {self.answered:,} "
            f"({shown})  errors {self.errors.total():,}  "
            f"p50 {p50:.1f} ms  p95 {p95:.1f} ms  feedback {self.told:,}"
        )

    def build_rows(self, judged: bool) -> list[dict[str, Any]]:
        """Give a row a source, and one of all; `judged` where right and wrong can be told."""
        rows = [
            _build_row(arm, str(version), item, self.answered, judged)
            for (arm, version), item in sorted(self.answers.items())
        ]
        times = [time for item in self.answers.values() for time in item.times]
        right = sum(item.right for item in self.answers.values())
        return [*rows, _build_row("all", "", Answers(times, right), self.answered, judged)]

    def write_json(self) -> str:
        """Give what was counted as JSON; times are left out."""
        sources = [
            {"arm": arm, "version": version, "answers": len(item.times), "right": item.right}
            for (arm, version), item in sorted(self.answers.items())
        ]
        counts = {"sent": self.sent, "told": self.told, "late": self.late}
        return json.dumps({**counts, "sources": sources, "errors": dict(self.errors)})

    def conclude(self) -> list[str]:
        """Give what is to be said below the table."""
        errors = ", ".join(f"{kind}: {n:,}" for kind, n in sorted(self.errors.items())) or "none"
        lines = [f"sent {self.sent:,}, answered {self.answered:,}; errors {errors}"]
        unsent = f", {self.untold:,} not taken or not sent" if self.untold else ""
        lines.append(f"feedback on {self.told:,} answers{unsent}")
        if self.late > 1:
            lines.append(f"this client sent up to {self.late:.1f} s late: ask for less")
        return lines


def find_percentiles(times: list[float], wanted: tuple[float, ...]) -> tuple[float, ...]:
    """Give percentiles, NaN of nothing."""
    if not times:
        return tuple(float("nan") for _ in wanted)
    return tuple(float(item) for item in np.percentile(times, wanted))


def _build_row(arm: str, version: str, item: Answers, total: int, judged: bool) -> dict[str, Any]:
    p50, p95, p99 = find_percentiles(item.times, (50, 95, 99))
    answered = len(item.times)
    row = {
        "assigned arm": arm,
        "answered by": f"v{version}" if version else "",
        "answers": f"{answered:,}",
        "share": f"{answered / max(total, 1):.1%}",
        "p50 ms": f"{p50:.1f}",
        "p95 ms": f"{p95:.1f}",
        "p99 ms": f"{p99:.1f}",
    }
    return {**row, "right": f"{item.right / max(answered, 1):.1%}"} if judged else row
