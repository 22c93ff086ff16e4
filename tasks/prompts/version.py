"""A version under release: read, checked, and evaluated beside the one that serves.

Nothing here needs Prefect: the flow's tasks are in `steps`, and `trial` has a version evaluated in
the terminal at once.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from uuid import uuid4

from sluice.adapters.control.store import prepare_control
from sluice.adapters.machine import read_code_version, read_environment
from sluice.adapters.prompt_wishes import find_serving
from sluice.adapters.storage import explain_os_error, write_whole
from sluice.documents import read_json
from sluice.errors import PromptChanged, PromptInvalid, Refused
from sluice.guardrails.inspection import INJECTION
from sluice.home import CONFIGS, LOCK, PROJECT, PROMPTS, environment_name, find_home
from sluice.prompts.criterion import Criterion
from sluice.prompts.evaluation.checks import PlannedCheck, collect_check, list_judged, plan_checks
from sluice.prompts.evaluation.judges import PromptJudge, load_judge
from sluice.prompts.evaluation.record import CriterionResult, EvaluationRecord, read_evaluations
from sluice.prompts.evaluation.results import PromptEvaluation, mean_known
from sluice.prompts.folder import Prompt
from sluice.prompts.scorers.scoring import ScoringParts
from sluice.prompts.version import PromptVersion, check_unchanged
from sluice.rounding import format_duration
from sluice.stats.prompts.criteria import CriterionScores, measure_criterion
from tasks.prompts.asking import AskingScope, Notify, open_asker
from tasks.prompts.evaluation import Evaluator
from tasks.prompts.judging import explain_silence

PROGRESS_SECONDS = 3.0
DRAWS, SEED = 2000, 0
Tell = Callable[[str], None]


@dataclass(frozen=True)
class EvaluationReporter:
    """How an evaluation reports: `tell` takes lines of progress, `notify` events about costs."""

    tell: Tell
    notify: Notify


@dataclass(frozen=True)
class VersionUnderRelease:
    """A version with its checks, and the version that serves now, None where none does."""

    prompt: str
    version: int
    identity: str
    eval_set: str
    """Identity of the evaluation set."""
    environment: str
    checks: tuple[PlannedCheck, ...]
    active: int | None = None
    run: str = ""
    """Names the evaluation in the control store's ledger: all its calls have one budget."""

    @property
    def command(self) -> str:
        """The command that tries it again, without `sluice`."""
        return f"prompt publish {self.prompt} {self.version}"


def check_version(found: Prompt, version: int, *, asks_registry: bool) -> VersionUnderRelease:
    """Check everything that can be checked before a model is asked.

    Without `asks_registry` the registry is not asked about a version that was evaluated here as it
    is now, nor about any of a prompt that does not serve: its library takes seconds to start.
    Publishing asks it always.

    Raises:
        PromptInvalid: a file is not valid, or the prompt has the name of a service.
        PromptChanged: the version was evaluated or published with another content.
        Fault: the control store or the registry cannot be reached.
    """
    wanted, environment = found.find_version(version), environment_name()
    if (CONFIGS / f"{found.name}.yaml").is_file():
        raise PromptInvalid(
            f"{found.folder}: name: found '{found.name}', which names a file of configs/; allowed: "
            "a name of its own; next: rename the prompt's folder and its `name`"
        )
    checks = plan_checks(wanted, found.eval_set, found.limits.of(environment))
    active = find_serving(prepare_control(), found.name)
    if active is not None and active not in found.versions:
        raise PromptInvalid(
            f"{found.folder}: v{active} serves and its file v{active}.yaml is not there; next: "
            f"bring the file back, as it was published"
        )
    compared = {version, active or version}
    if asks_registry:
        check_published(found, compared)
    evaluated = check_evaluated(found, compared)
    if active is not None and not asks_registry:
        check_published(found, compared - evaluated)
    run = f"{found.name}-v{version}-{uuid4().hex[:12]}"
    cases = found.eval_set.identity
    return VersionUnderRelease(
        found.name, version, wanted.identity, cases, environment, checks, active, run
    )


def check_evaluated(found: Prompt, versions: Iterable[int]) -> set[int]:
    """Check that versions are what they were when they were evaluated; return those that were.

    Raises:
        PromptChanged: a version has another content now.
    """
    known = set(versions)
    records = read_evaluations(find_home().evaluations(found.name))
    for record in sorted(records, key=lambda record: record.version):
        if record.version in known:
            check_unchanged(found.versions[record.version], record.identity, "evaluated")
    return known & {record.version for record in records}


def check_published(found: Prompt, versions: Iterable[int]) -> None:
    """Check that versions are what they were when they were published; ask nothing about none.

    Raises:
        PromptChanged: a version has another content now.
        Fault: the registry cannot be reached.
    """
    if not (wanted := sorted(versions)):
        return
    from sluice.adapters.registry.client import open_registry

    published = open_registry(find_home()).list_published(found.name)
    for version in wanted:
        if version in published:
            check_unchanged(found.versions[version], published[version], "published")


def check_same_cases(given: VersionUnderRelease, found: Prompt) -> None:
    """Check that the evaluation set is the one that the release began with.

    Two versions are compared on the same cases, by the checks that were planned on them.

    Raises:
        PromptChanged: its content is another one now.
    """
    if found.eval_set.identity != given.eval_set:
        raise PromptChanged(
            f"{found.eval_set.path}: changed while the release was under way, from "
            f"{given.eval_set[:12]} to {found.eval_set.identity[:12]}; next: sluice "
            f"{given.command}: answers that are kept cost nothing"
        )


def evaluate_version(
    given: VersionUnderRelease,
    found: Prompt,
    version: int,
    reporter: EvaluationReporter,
    scope: AskingScope | None = None,
) -> PromptEvaluation:
    """Ask, score and judge every case of a version; return the results.

    Answers that are kept from earlier evaluations cost nothing; `scope` may name another folder of
    replies than theirs.

    Raises:
        PromptInvalid: a judge's files are not valid.
        PromptChanged: the version or the evaluation set changed since the release began.
        ConfigInvalid: the model is not known, or its price is not.
        ModelRetired: the provider has retired the model.
        Fault: the control store cannot be reached.
    """
    home, wanted = find_home(), found.find_version(version)
    check_same_cases(given, found)
    if version == given.version:
        check_unchanged(wanted, given.identity, "checked")
    judges = load_judges(given, wanted, found)
    silent = {name: explain_silence(judge, given.environment) for name, judge in judges.items()}
    limits = found.limits.gates_of(given.environment)
    parts = load_parts(wanted, found)
    report = make_report(f"v{version}", reporter.tell)

    async def evaluate() -> PromptEvaluation:
        async with open_asker(
            home, given.environment, given.run, limits.spend, scope or AskingScope(given.prompt)
        ) as asker:
            model = asker.describe_model(wanted.model)
            began = monotonic()
            evaluator = Evaluator(asker, judges, parts, report, silent)
            cases = await evaluator.evaluate(wanted, found.eval_set)
            asker.notes.publish(given.prompt, version, reporter.notify)
            return PromptEvaluation(
                given.prompt,
                version,
                wanted.identity,
                found.eval_set.identity,
                model,
                given.environment,
                cases,
                monotonic() - began,
                await asker.find_spent(),
                parts.similarity.identity if parts.similarity else "",
            )

    result = asyncio.run(evaluate())
    answers = sum(len(case.answers) for case in result.cases)
    cached = sum(answer.is_cached for case in result.cases for answer in case.answers)
    reporter.tell(
        f"{given.prompt} v{version}: {answers} answers, {cached} of them kept from before, "
        f"{len(result.not_run)} cases not run, {result.seconds:.1f} s"
    )
    return result


def store_evaluation(result: PromptEvaluation, suffix: str = "") -> Path:
    """Write the results beside those of other versions, and return their file."""
    folder = find_home().evaluations(result.prompt) / "answers"
    place = folder / f"v{result.version}-{result.identity[:12]}{suffix}.json"
    write_results({place: result.to_json()})
    return place


def load_judges(
    given: VersionUnderRelease, version: PromptVersion, found: Prompt
) -> dict[str, PromptJudge]:
    """Return the judges of a version's criteria, of those that the released version has too.

    Raises:
        PromptInvalid: there is no such judge, or its files are not valid.
    """
    criteria = {name for check in given.checks for name in check.criteria}
    judged = _list_all_judged(version, found)
    names = [item.judge_name for item in judged if item.judge_name and item.name in criteria]
    return {name: load_judge(name, PROMPTS) for name in dict.fromkeys(names)}


def load_parts(version: PromptVersion, found: Prompt) -> ScoringParts:
    """Return the models that a version's criteria need, loaded only where one needs them.

    Where the injection detector cannot be loaded, its criteria are not run, and say why.

    Raises:
        DataUnavailable: the detector's files cannot be read at present.
    """
    judged, parts = _list_all_judged(version, found), ScoringParts()
    if any(item.type == "similarity" for item in judged):
        from sluice.adapters.embedding import open_similarity

        texts = [text for case in found.eval_set.cases for text in (case.expected, case.key)]
        corpus = [text for text in texts if text]
        parts = replace(parts, similarity=open_similarity(corpus, find_home().similarities))
    if any(INJECTION in item.guardrails for item in judged):
        from sluice.adapters.injection_detector import load_detector

        try:
            parts = replace(parts, injection=load_detector())
        except Refused as error:
            parts = replace(parts, no_injection=str(error))
    return parts


def _list_all_judged(version: PromptVersion, found: Prompt) -> list[Criterion]:
    """Return the criteria of a version and of all cases."""
    judged = [item for case in found.eval_set.cases for item in list_judged(version, case)]
    return [*judged, *version.eval_criteria]


def read_evaluation(place: Path) -> PromptEvaluation:
    """Read the results of an evaluation.

    Raises:
        PromptInvalid: the file is gone or damaged.
    """
    with suppress(OSError, KeyError, TypeError, ValueError):
        return PromptEvaluation.from_dict(read_json(place))
    raise PromptInvalid(
        f"{place}: cannot be read; next: evaluate again: what is kept costs nothing"
    )


def record_evaluation(
    given: VersionUnderRelease, evaluation: PromptEvaluation, outcome: str, answers: str = ""
) -> EvaluationRecord:
    """Keep the figures of an evaluation, from which `sluice prompt diff` compares versions.

    `answers` is the name of the file that has the answers.
    """
    criteria = {}
    for check in given.checks:
        scores = CriterionScores(
            check.name, check.kind, check.limit, collect_check(evaluation, check)
        )
        bounds = measure_criterion(scores, DRAWS, SEED).candidate
        if bounds.value is not None:
            criteria[check.name] = CriterionResult(
                value=bounds.value, lower=bounds.low, upper=bounds.high, cases=bounds.n
            )
    code, environment = read_code_version(PROJECT), read_environment(LOCK)
    record = EvaluationRecord(
        prompt=given.prompt,
        version=evaluation.version,
        identity=evaluation.identity,
        eval_set=evaluation.eval_set,
        environment=given.environment,
        model=evaluation.model,
        ended=datetime.now(UTC).isoformat(timespec="milliseconds"),
        outcome=outcome,
        criteria=criteria,
        cost=mean_known(cost.dollars for cost in evaluation.costs.values()),
        similarity=evaluation.similarity,
        answers=answers,
        commit=code.commit,
        dirty=code.dirty,
        lock_hash=environment.lock_hash,
        python=environment.python,
        platform=environment.platform,
    )
    name = f"{record.ended.replace(':', '')}-v{record.version}.json"
    write_results({find_home().evaluations(given.prompt) / name: record.to_json()})
    return record


def write_results(texts: Mapping[Path, str]) -> None:
    """Write files of an evaluation, whole or not at all.

    Raises:
        StorageFull: there is no room.
        DataUnavailable: a file or its folder cannot be written.
    """
    for place, text in texts.items():
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            write_whole({place: text})
        except OSError as error:
            raise explain_os_error(error, str(place)) from error


def make_report(name: str, tell: Callable[[str], None]) -> Callable[[int, int], None]:
    """Return a report of progress that tells at most every three seconds, with the time left.

    `name` says what is asked. The time left is by the pace since the last line.
    """
    last, before = monotonic(), 0

    def report(done: int, total: int) -> None:
        nonlocal last, before
        passed = monotonic() - last
        if passed >= PROGRESS_SECONDS and done < total:
            left = (total - done) * passed / max(1, done - before)
            tell(f"{name}: {done:,} of {total:,} answers, about {format_duration(left)} left")
            last, before = monotonic(), done

    return report
