"""The report of an evaluation: a page with all cases, a summary, and the figures that are kept."""

import json
from dataclasses import dataclass
from pathlib import Path

from sluice.documents import read_json
from sluice.errors import PromptInvalid
from sluice.prompts.evaluation.results import PromptEvaluation
from sluice.report.prompts.page import find_outcome, write_page
from sluice.report.prompts.summary import write_markdown
from sluice.verdict import Verdict
from tasks.prompts.version import (
    VersionUnderRelease,
    read_evaluation,
    record_evaluation,
    write_results,
)

VERDICTS = ".verdicts.json"
"""Ending of the file beside a report that has its verdicts."""


@dataclass(frozen=True)
class PromptReport:
    """What a report was written from: the results of both versions, and the verdicts."""

    new: PromptEvaluation
    old: PromptEvaluation | None
    verdicts: tuple[Verdict, ...]


def write_report(
    given: VersionUnderRelease, place: Path, active: Path | None, verdicts: tuple[Verdict, ...]
) -> Path:
    """Write the page and the summary beside the file of the results; return the page.

    `place` and `active` are the files of the results of both versions. Where nothing was answered
    nothing is kept: a version whose provider or price was not right yet may still be edited.

    Raises:
        PromptInvalid: the results cannot be read.
        StorageFull: there is no room.
        DataUnavailable: a file cannot be written.
    """
    new = read_evaluation(place)
    old = read_evaluation(active) if active else None
    names = [name for check in given.checks for name in check.criteria]
    page = place.with_suffix(".html")
    facts = {"active": str(active or ""), "verdicts": [item.to_dict() for item in verdicts]}
    write_results(
        {
            page: write_page(new, old, verdicts, names),
            place.with_suffix(".md"): write_markdown(new, old, verdicts),
            place.with_suffix(VERDICTS): json.dumps(facts),
        }
    )
    if new.has_answers:
        record_evaluation(given, new, find_outcome(verdicts).value, place.name)
    return page


def read_report(page: Path) -> PromptReport:
    """Read what a report was written from.

    Raises:
        PromptInvalid: a file beside it is gone or damaged.
    """
    new = read_evaluation(page.with_suffix(".json"))
    place = page.with_suffix(VERDICTS)
    try:
        facts = read_json(place)
        verdicts = tuple(Verdict.from_dict(item) for item in facts["verdicts"])
        active = str(facts["active"])
    except (OSError, LookupError, TypeError, ValueError) as error:
        words = "cannot be read; next: evaluate again: what is kept costs nothing"
        raise PromptInvalid(f"{place}: {words}") from error
    return PromptReport(new, read_evaluation(Path(active)) if active else None, verdicts)
