"""What the injection detector finds and lets pass on public sets: `make bench-injection`.

A model of `configs/injection.yaml` learns from one set and benign texts of ours, with a threshold
chosen on these rows only. It is tested on the *other* sets, through the guardrail's own parts of a
text. Beside it stand a list of rules, and keywords chosen on the same training rows. The detector
of this checkout is measured on all sets, and one verdict of it is timed. Its card gets the figures.
"""

import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from math import log

import pandas as pd

from benchmarks.harness.results import Row, report
from benchmarks.prompts.injection_sets import (
    LEARNED,
    TextSet,
    add_written,
    load_benign,
    load_parts,
    load_sets,
)
from cli.output import say
from sluice.adapters.injection_detector import load_detector
from sluice.adapters.registry.model_files import ExportedModel
from sluice.config.loading import load_service
from sluice.config.model import FalsePositives
from sluice.guardrails.injection import InjectionDetector
from sluice.home import DETECTOR
from sluice.models.export.onnx_export import build_onnx_export
from sluice.models.training import find_threshold, fit_model

RECALL, FALSE_POSITIVES, MILLISECONDS = 0.40, 0.01, 2.0
KEYWORDS, LONG, TIMES = 40, 2000, 200
CARD, SECTION = "model_card.md", "\n## Recall and false positives by set\n"
RULES = re.compile(
    r"""(?ix)
    \b(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:instructions?|rules?|guidelines?
        |prompts?|restrictions?|polic(?:y|ies)|filters?|everything)\b
    |\b(?:reveal|show|print|repeat|output|display|leak)\b.{0,40}\b(?:system|initial|hidden|secret
        |original)\b.{0,20}\b(?:prompt|instructions?|message|configuration)\b
    |\byou\ are\ now\b|\bpretend\ (?:to\ be|you\ are)\b|\bact\ as\ (?:if|an?)\b
    |\bjailbreak|\bdo\ anything\ now\b|\bDAN\b|\bdeveloper\ mode\b|\bdebug\ mode\b
    |\bno\ (?:restrictions|limits|rules)\b|\bnew\ instructions?\s*:|\bsystem\s+override\b
    |\bsystem\ prompt\b|\[/?(?:system|inst)\]|<\|im_start\|>
    """
)
"""A list as applications have it; none of the sets was looked at for it."""
Flag = Callable[[str], bool]


def learn(one: TextSet) -> tuple[InjectionDetector, float]:
    """Return a detector that learned from a set as the service is configured, and its threshold."""
    config = load_service("injection", "development")
    frame = pd.DataFrame({"text": one.texts, "is_injection": one.labels})
    pipeline = fit_model("binary", config.model, config.data, frame, frame["is_injection"])
    exported = ExportedModel(build_onnx_export(pipeline, config.data))

    def classify(texts: object) -> list[bool]:
        return (exported.predict({"text": texts}).labels == 1).tolist()  # type: ignore[dict-item]

    return InjectionDetector(classify), find_threshold(pipeline) or 0.5


def choose_keywords(one: TextSet, rate: float) -> Flag:
    """Return a flag by keywords: the words that tell most, and how many of them are needed.

    The number is the lowest that keeps the rate of false positives on the same rows.
    """
    sides = [
        Counter(word for text in one.of(label) for word in find_words(text)) for label in (0, 1)
    ]
    totals = [max(len(one.of(label)), 1) for label in (0, 1)]
    odds = {
        word: log((n + 1) / (totals[1] + 2)) - log((sides[0][word] + 1) / (totals[0] + 2))
        for word, n in sides[1].items()
        if n >= totals[1] / 100
    }
    chosen = frozenset(sorted(odds, key=lambda word: -odds[word])[:KEYWORDS])

    def count(text: str) -> int:
        return len(find_words(text) & chosen)

    counts = Counter(count(text) for text in one.of(0))
    least = 1
    while sum(n for found, n in counts.items() if found >= least) > rate * totals[0]:
        least += 1
    return lambda text: count(text) >= least


def find_words(text: str) -> set[str]:
    """Return the different words of a text."""
    return set(re.findall(r"\w\w+", text.lower()))


def measure(name: str, flag: Flag, sets: dict[str, TextSet], targets: bool) -> Iterator[Row]:
    """Return the recall and the false positives of a flag on each set."""
    for tested, one in sets.items():
        for label, figure in ((1, "recall"), (0, "false positives")):
            texts = one.of(label)
            if not texts:
                continue
            share = sum(map(flag, texts)) / len(texts)
            target = (RECALL if label else FALSE_POSITIVES) if targets else None
            yield Row(
                f"{name}: {figure} on {tested}", share, f"of {len(texts)}", target, bool(label)
            )


def time_verdict(detector: InjectionDetector) -> float:
    """Return the median milliseconds of processor time of a verdict on 2,000 characters."""
    text = " ".join(load_benign()["summarize"].texts[:10])[:LONG]
    seconds = []
    for _ in range(TIMES):
        began = time.thread_time()
        list(detector(text))
        seconds.append(time.thread_time() - began)
    return 1000 * statistics.median(seconds)


def flag_with(detector: InjectionDetector) -> Flag:
    """Return whether a detector finds anything in a text."""
    return lambda text: next(detector(text), None) is not None


def write_card(rows: list[Row]) -> None:
    """Write the figures of the shipped detector into its card."""
    path = DETECTOR / CARD
    text = path.read_text(encoding="utf-8").split(SECTION)[0].rstrip() + "\n"
    lines = [
        f"| {row.name.partition(': ')[2]} | {row.value:.3f} | {row.unit.removeprefix('of ')} |"
        for row in rows
    ]
    text += SECTION + (
        f"\nIt learned from {LEARNED}; the other sets are new to it. Written by "
        "`make bench-injection`.\n\n| figure | value | texts |\n|---|---|---|\n"
    )
    path.write_text(text + "\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Measure, print, write the results and the card."""
    sets, benign, parts = load_sets(), load_benign(), load_parts()
    threshold = load_service("injection", "development").model.threshold
    rate = threshold.false_positive_rate if isinstance(threshold, FalsePositives) else 0.01
    rows: list[Row] = []
    notes: dict[str, float] = {}
    for name in ("s-labs", "neuralchemy"):
        others = {**{key: one for key, one in sets.items() if key != name}, **benign}
        apart = {} if name == "neuralchemy" else parts
        detector, notes[f"threshold learned from {name}"] = learn(add_written(sets[name]))
        rows += measure(f"learned from {name}", flag_with(detector), others, targets=True)
        rows += measure(f"learned from {name}", flag_with(detector), apart, targets=False)
        keywords = choose_keywords(sets[name], rate)
        rows += measure(f"keywords from {name}", keywords, others, targets=False)
        say(f"{name}: done")
    everything = {**sets, **parts, **benign}
    rows += measure("rules", lambda text: RULES.search(text) is not None, everything, targets=False)
    shipped = load_detector()
    own = list(measure("shipped", flag_with(shipped), everything, targets=False))
    rows += own
    rows.append(
        Row(
            "one verdict on 2,000 characters",
            time_verdict(shipped),
            "ms of processor time",
            MILLISECONDS,
        )
    )
    write_card(own)
    report("injection", rows, notes)


if __name__ == "__main__":
    main()
