"""A version that is evaluated at once in this process, without Prefect, and not published."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sluice.prompts.folder import load_prompt
from sluice.verdict import Verdict
from tasks.prompts.bias import audit_texts
from tasks.prompts.estimating import announce_estimate
from tasks.prompts.evidence import judge_version
from tasks.prompts.reporting import write_report
from tasks.prompts.version import (
    EvaluationReporter,
    Tell,
    VersionUnderRelease,
    check_version,
    evaluate_version,
    store_evaluation,
)

SUFFIX = "-trial"
"""Tells the files of a trial from those of a release, which may be under way."""


@dataclass(frozen=True)
class Trial:
    """The verdicts of all gates on a version, and the page with all cases."""

    given: VersionUnderRelease
    verdicts: tuple[Verdict, ...]
    page: Path


def try_version(prompt: str, version: int, tell: Tell) -> Trial:
    """Take a version through its gates, beside the one that serves, and write the report.

    Raises:
        PromptInvalid: a file is not valid, or the prompt has the name of a service.
        PromptChanged: the version was evaluated or published with another content.
        ConfigInvalid: the model is not known, or its price is not.
        ModelRetired: the provider has retired the model.
        Fault: the control store or the registry cannot be reached.
    """
    found, reporter = load_prompt(prompt), EvaluationReporter(tell, partial(_tell_event, tell))
    given = check_version(found, version, asks_registry=False)
    announce_estimate(given, found, tell)
    new = evaluate_version(given, found, version, reporter)
    old = evaluate_version(given, found, given.active, reporter) if given.active else None
    judged = judge_version(given, found, new, old)
    verdicts = (*judged, *audit_texts(given, found, judged, reporter))
    place = store_evaluation(new, SUFFIX)
    page = write_report(given, place, store_evaluation(old, SUFFIX) if old else None, verdicts)
    return Trial(given, verdicts, page)


def _tell_event(tell: Tell, _prompt: str, event: str, payload: Mapping[str, Any]) -> None:
    """Say in words what a flow's run would emit as an event."""
    tell(f"{event}: {payload['reason']}")
