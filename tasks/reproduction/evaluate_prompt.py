"""Evaluate a prompt's version again; runs as a process with the code of the evaluation's commit.

`python -m tasks.reproduction.evaluate_prompt FOLDER`: the folder has the task, and gets the result.
No model is asked: each answer and each grade of a judge is one that was kept.
"""

import asyncio
import sys
from datetime import date
from pathlib import Path
from typing import Any

from sluice.adapters.llm.client import LanguageModels
from sluice.adapters.llm.reply_cache import ReplyCache, find_revision
from sluice.adapters.machine import read_environment
from sluice.config.llm.loading import load_providers
from sluice.documents import parse_json
from sluice.errors import NotReproducible
from sluice.home import LOCK, Home
from sluice.prompts.chat import ChatRequest
from sluice.prompts.evaluation.checks import plan_checks
from sluice.prompts.evaluation.results import PromptEvaluation
from sluice.prompts.folder import load_prompt
from tasks.prompts.evaluation import Asked, Evaluator
from tasks.prompts.judging import explain_silence
from tasks.prompts.version import VersionUnderRelease, load_judges, load_parts
from tasks.reproduction.handover import read_job, write_result


class KeptAsker:
    """Gives the replies that were kept; `missing` counts those that are not kept any more."""

    def __init__(self, models: LanguageModels, cache: ReplyCache) -> None:
        self._models, self._cache = models, cache
        self.missing = 0

    async def ask(self, request: ChatRequest, sample: int) -> Asked:
        """Return the kept reply to a request.

        Raises:
            NotReproducible: it is not kept any more.
            ConfigInvalid: no such model is known.
        """
        choice = self._models.choose(request.model)
        kept = self._cache.find(request, sample, find_revision(choice))
        if kept is None:
            self.missing += 1
            raise NotReproducible(f"a reply of {choice.describe()} is not kept any more")
        return Asked(kept, is_cached=True)


def evaluate_again(folder: Path) -> None:
    """Evaluate the version on its cases with the kept replies, and write what came out.

    Raises:
        PromptInvalid: a file of the prompt is not valid.
        ConfigInvalid: a model is not known.
    """
    job = read_job(folder)
    evaluation, missing = asyncio.run(_evaluate(job))
    environment = read_environment(LOCK)
    result: dict[str, Any] = {
        "evaluation": parse_json(evaluation.to_json()),
        "missing": missing,
        "lock_hash": environment.lock_hash,
        "python": environment.python,
        "platform": environment.platform,
    }
    write_result(folder, result)


async def _evaluate(job: dict[str, Any]) -> tuple[PromptEvaluation, int]:
    found, home = load_prompt(job["prompt"]), Home(Path(job["home"]))
    wanted, environment = found.find_version(job["version"]), job["environment"]
    checks = plan_checks(wanted, found.eval_set, found.limits.of(environment))
    given = VersionUnderRelease(
        found.name, job["version"], wanted.identity, found.eval_set.identity, environment, checks
    )
    judges = load_judges(given, wanted, found)
    silent = {name: explain_silence(judge, environment) for name, judge in judges.items()}
    parts = load_parts(wanted, found)

    def read_day() -> date:  # a model that was retired since then answered on that day
        return date.fromisoformat(job["ended"][:10])

    async with LanguageModels(load_providers(), environment, home.logs, read_day) as models:
        asker = KeptAsker(models, ReplyCache(home.replies))
        model = models.choose(wanted.model).describe()
        cases = await Evaluator(asker, judges, parts, silent=silent).evaluate(
            wanted, found.eval_set
        )
    similarity = parts.similarity.identity if parts.similarity else ""
    evaluation = PromptEvaluation(
        found.name,
        job["version"],
        wanted.identity,
        found.eval_set.identity,
        model,
        environment,
        cases,
        similarity=similarity,
    )
    return evaluation, asker.missing


if __name__ == "__main__":
    evaluate_again(Path(sys.argv[1]))
