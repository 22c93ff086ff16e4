"""The reproduction of a prompt's version: its evaluation, its cases and the kept answers."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice.errors import NotReproducible, PromptInvalid
from sluice.home import CONFIGS, PROJECT, PROMPTS, find_home
from sluice.identity import CodeVersion, Environment
from sluice.prompts.evaluation.record import EvaluationRecord, read_evaluations
from sluice.prompts.evaluation.results import PromptEvaluation
from sluice.reproduction.comparison import ComparedFact, compare_rows, compare_value
from sluice.reproduction.record import require_clean
from tasks.prompts.version import read_evaluation
from tasks.reproduction.handover import read_result, write_job

TRIAL = "-trial.json"
"""Ending of the file that has the answers of a trial in the terminal."""


@dataclass(frozen=True)
class PromptRecord:
    """The last evaluation of a version: its figures with its code, and each answer with scores."""

    figures: EvaluationRecord
    results: PromptEvaluation

    @property
    def code(self) -> CodeVersion:
        """The commit, and whether the tree had other changes."""
        return CodeVersion(self.figures.commit, self.figures.dirty)

    @property
    def environment(self) -> Environment:
        """The environment of the evaluation."""
        found = self.figures
        return Environment(found.lock_hash, found.python, found.platform, "")


def read_prompt_record(prompt: str, version: int) -> PromptRecord:
    """Read the last evaluation of a prompt's version; one of its release before a trial.

    Raises:
        NotReproducible: there is none, its answers are gone, or it has no commit on record.
        TreeWasDirty: no commit has the code of it.
    """
    name, again = f"{prompt} v{version}", f"sluice prompt publish {prompt} {version}"
    folder = find_home().evaluations(prompt)
    found = [item for item in read_evaluations(folder) if item.version == version]
    if not found:
        raise NotReproducible(f"{name}: found no evaluation of it in {folder}; next: {again}")
    whole = [item for item in found if item.commit and item.answers]
    released = [item for item in whole if not item.answers.endswith(TRIAL)]
    figures = (released or whole or found)[-1]
    if not whole:
        raise NotReproducible(
            f"{name}: its evaluation has no commit on record: an earlier Sluice wrote it; next: "
            f"{again}: answers that are kept cost nothing"
        )
    require_clean(name, CodeVersion(figures.commit, figures.dirty), again)
    place = folder / "answers" / figures.answers
    try:
        results = read_evaluation(place)
    except PromptInvalid as error:
        raise NotReproducible(f"{name}: the answers of its evaluation are gone: {error}") from error
    if results.eval_set != figures.eval_set:
        raise NotReproducible(
            f"{name}: {place}: has the answers to other cases than the last evaluation; next: "
            f"{again}: answers that are kept cost nothing"
        )
    return PromptRecord(figures, results)


def gather_prompt(record: PromptRecord, folder: Path) -> None:
    """Write the task of the process: which version to evaluate, and where its answers are kept."""
    found = record.figures
    write_job(
        folder,
        {
            "kind": "prompt",
            "prompt": found.prompt,
            "version": found.version,
            "environment": found.environment,
            "ended": found.ended,
            "home": str(find_home().root),
        },
    )


def place_folders(checkout: Path) -> dict[str, str]:
    """Return the variables that name prompts and configuration as the commit has them.

    A folder outside of the project is in no commit; it is used as it is, and compared by hash.
    """
    folders = {"SLUICE_PROMPTS": PROMPTS, "SLUICE_CONFIGS": CONFIGS}
    return {
        name: str(checkout / path.relative_to(PROJECT) if path.is_relative_to(PROJECT) else path)
        for name, path in folders.items()
    }


def compare_prompt(record: PromptRecord, folder: Path) -> list[ComparedFact]:
    """Compare the new evaluation with the recorded one: inputs first, scores last.

    Raises:
        NotReproducible: kept answers are gone.
    """
    result, old = read_result(folder), record.results
    new, recorded = PromptEvaluation.from_dict(result["evaluation"]), record.environment
    facts = [
        compare_value("prompt's version", old.identity, new.identity),
        compare_value("evaluation set", old.eval_set, new.eval_set),
        compare_value("model", old.model, new.model),
        compare_value("similarity", old.similarity, new.similarity),
        compare_value("lock", recorded.lock_hash, result["lock_hash"]),
        compare_value("Python", recorded.python, result["python"]),
        compare_value("platform", recorded.platform, result["platform"], decides=False),
    ]
    is_same_input = all(item.is_same for item in facts[:3])
    if result["missing"] and is_same_input:
        total = sum(len(case.answers) for case in old.cases)
        raise NotReproducible(
            f"{old.prompt} v{old.version}: {result['missing']:,} replies are not kept any more, of "
            f"{total:,} answers and their grades; next: sluice prompt publish {old.prompt} "
            f"{old.version}, which asks for those again"
        )
    answers = compare_rows("answers", list(_list_texts(old)), list(_list_texts(new)))
    return [
        *facts,
        answers,
        compare_rows("scores", list(_list_scores(old)), list(_list_scores(new))),
    ]


def _list_texts(found: PromptEvaluation) -> Iterator[dict[str, Any]]:
    for case in found.cases:
        for answer in case.answers:
            yield {"case": case.case, "text": answer.text, "failure": answer.failure}


def _list_scores(found: PromptEvaluation) -> Iterator[dict[str, Any]]:
    for case in found.cases:
        for answer in case.answers:
            yield {
                **answer.scores,
                **{f"{name} (error)": why for name, why in answer.errors.items()},
            }
