"""The version that serves is asked its own cases anew: a provider's silent change is found.

Replies that are kept are not used: they are what the model said at the release.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4

from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.evaluations import find_evaluation
from sluice.adapters.prompt_wishes import find_serving
from sluice.config.llm.loading import load_providers
from sluice.home import Home, environment_name, find_home
from sluice.monitoring.signals import Signal
from sluice.prompts.calls.choice import choose_fallback, choose_model
from sluice.prompts.evaluation.checks import plan_checks
from sluice.prompts.evaluation.results import PromptEvaluation
from sluice.prompts.folder import Prompt, load_prompt
from sluice.prompts.published import read_published
from sluice.prompts.version import PromptVersion
from sluice.verdict import Check, Outcome, Verdict
from tasks.prompts.asking import AskingScope
from tasks.prompts.evidence import judge_results
from tasks.prompts.judging import explain_standing
from tasks.prompts.version import (
    EvaluationReporter,
    VersionUnderRelease,
    evaluate_version,
    load_judges,
    store_evaluation,
)

REGRESSED = "prompt.regressed"
"""Event of a version that serves and fails its gates when it is asked anew."""
SIGNAL = "evaluation-falls"
SUFFIX, FALLBACK_SUFFIX = "-check", "-fallback"
"""Tell the results of a check, and of its fallback, from those of a release."""


@dataclass(frozen=True)
class PromptCheck:
    """What a version gives now beside what it gave in its release, and what its gates say of it.

    `fallback` is the same version asked of its model's fallback, None where that was not asked for
    or there is none.
    """

    prompt: str
    new: PromptEvaluation
    old: PromptEvaluation | None
    verdicts: tuple[Verdict, ...]
    fallback: "PromptCheck | None" = None

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that fail."""
        found = [item for verdict in self.verdicts for item in verdict.checks]
        return tuple(item for item in found if item.outcome is Outcome.FAIL)

    @property
    def reason(self) -> str:
        """The verdict in one sentence: of a gate that fails, else of one that cannot decide."""
        for outcome in (Outcome.FAIL, Outcome.INSUFFICIENT):
            for verdict in self.verdicts:
                if verdict.outcome is outcome:
                    return verdict.reason
        return self.verdicts[0].reason

    @property
    def outcome(self) -> Outcome:
        """Fail before insufficient before pass, of both gates."""
        found = {verdict.outcome for verdict in self.verdicts}
        order = (Outcome.FAIL, Outcome.INSUFFICIENT)
        return next((outcome for outcome in order if outcome in found), Outcome.PASS)

    def to_signal(self, began: datetime, now: datetime) -> Signal:
        """Return the number of checks that fail; without a decision why there is none."""
        is_open = self.outcome is Outcome.INSUFFICIENT
        return Signal(
            self.prompt,
            SIGNAL,
            began,
            now,
            None if is_open else float(len(self.failed)),
            len(self.new.cases),
            reason=self.reason if self.outcome is not Outcome.PASS else "",
            version=self.new.version,
        )


def check_active(
    prompt: str, reporter: EvaluationReporter, *, with_fallback: bool = False
) -> PromptCheck | None:
    """Ask the version that serves its own cases anew, and judge it; None where none serves.

    It is compared with the evaluation of its release where that has the same cases, and else held
    to its limits alone. `with_fallback` asks its model's fallback, too. The control store gets the
    signal that the rule `evaluation-regressed` judges.

    Raises:
        PromptInvalid: a file is not valid, or the version was not published.
        PromptChanged: the version's file is not what was published.
        ConfigInvalid: the model is not known, or its price is not.
        ModelRetired: the provider has retired the model.
        Fault: the control store cannot be reached.
    """
    control, home, began = prepare_control(), find_home(), datetime.now(UTC)
    number = find_serving(control, prompt)
    if number is None:
        return None
    found = load_prompt(prompt)
    version = read_published(home.published_prompts(prompt), prompt, number)
    old = find_evaluation(home, prompt, number)
    checked = _check(home, found, version, old, reporter)
    if with_fallback and (other := find_fallback(version)):
        named = replace(found, versions={**found.versions, number: other})
        fallback = _check(home, named, other, old, reporter, FALLBACK_SUFFIX)
        checked = replace(checked, fallback=fallback)
    _record(control, checked, began)
    return checked


def find_fallback(version: PromptVersion) -> PromptVersion | None:
    """Return a version as its model's fallback would answer it; None where it has none.

    Raises:
        ConfigInvalid: the model is not known.
        ModelRetired: the provider has retired the model.
    """
    config, environment, today = load_providers(), environment_name(), datetime.now(UTC).date()
    choice = choose_model(config, version.model, environment, today)
    fallback = choose_fallback(config, choice, environment, today)
    return version.model_copy(update={"model": fallback.name}) if fallback else None


def _check(
    home: Home,
    found: Prompt,
    version: PromptVersion,
    old: PromptEvaluation | None,
    reporter: EvaluationReporter,
    suffix: str = SUFFIX,
) -> PromptCheck:
    given = plan_version(found, version)
    replies = home.workspace(given.run)
    try:
        scope = AskingScope(found.name, replies)
        new = evaluate_version(given, found, version.version, reporter, scope)
    finally:
        shutil.rmtree(replies, ignore_errors=True)
    store_evaluation(new, suffix)
    comparable = old if old is not None and old.eval_set == new.eval_set else None
    limits = found.limits.gates_of(given.environment)
    judges = load_judges(given, version, found)
    standings = {name: explain_standing(judge, given.environment) for name, judge in judges.items()}
    prompt, safety, _ = judge_results(given.checks, limits, standings, new, comparable)
    return PromptCheck(found.name, new, comparable, (prompt, safety))


def plan_version(found: Prompt, version: PromptVersion) -> VersionUnderRelease:
    """Return what a check of a version looks at; its calls have a budget of their own."""
    environment = environment_name()
    checks = plan_checks(version, found.eval_set, found.limits.of(environment))
    run = f"check-{found.name}-v{version.version}-{uuid4().hex[:12]}"
    cases = found.eval_set.identity
    return VersionUnderRelease(
        found.name, version.version, version.identity, cases, environment, checks, run=run
    )


def _record(control: Control, checked: PromptCheck, began: datetime) -> None:
    control.signals.record([checked.to_signal(began, datetime.now(UTC))])


def list_names(checks: Sequence[Check]) -> str:
    """Return the names of checks in one line."""
    return ", ".join(item.name for item in checks)
