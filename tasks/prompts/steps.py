"""The tasks of the flow `release_prompt`: each reads its files anew, for it may be tried again."""

from pathlib import Path

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact

from sluice.lineage import DataSet
from sluice.prompts.folder import load_prompt
from sluice.report.prompts.page import find_outcome
from sluice.verdict import Verdict
from tasks.prompts import bias, estimating, evidence, reporting, version
from tasks.prompts.version import EvaluationReporter, VersionUnderRelease, read_evaluation
from tasks.run.artifacts import publish
from tasks.run.decorators import effect
from tasks.run.events import publish_event
from tasks.run.lineage import note_input


def _log(words: str) -> None:
    get_run_logger().info("%s", words)


REPORTER = EvaluationReporter(_log, publish_event)


@effect
def check_version(prompt: str, number: int) -> VersionUnderRelease:
    """Check everything that can be checked before a model is asked.

    Raises:
        PromptInvalid: a file is not valid, or the prompt has the name of a service.
        PromptChanged: the version was evaluated or published with another content.
        Fault: the control store or the registry cannot be reached.
    """
    found = load_prompt(prompt)
    given = version.check_version(found, number, asks_registry=True)
    file, cases = found.version_file(number), found.eval_set
    note_input(DataSet("file", str(file), given.identity))
    note_input(DataSet("file", str(cases.path), cases.identity, rows=len(cases.rows)))
    return given


@effect
def announce_estimate(given: VersionUnderRelease) -> None:
    """Log what the evaluation will take, before a model is asked.

    Raises:
        PromptInvalid: a file is not valid, or a model cannot do what a version asks for.
        ConfigInvalid: a model is not known, or the environment refuses it.
        ModelRetired: a provider has retired a model.
        ProviderRefused: the local model answers and is not installed.
    """
    estimating.announce_estimate(given, load_prompt(given.prompt), _log)


@effect
def evaluate_version(given: VersionUnderRelease, number: int) -> Path:
    """Ask, score and judge every case of a version; return the file of the results.

    Raises:
        PromptInvalid: a judge's files are not valid.
        PromptChanged: the version or the evaluation set changed since the release began.
        ConfigInvalid: the model is not known, or its price is not.
        ModelRetired: the provider has retired the model.
        Fault: the control store cannot be reached.
    """
    found = load_prompt(given.prompt)
    return version.store_evaluation(version.evaluate_version(given, found, number, REPORTER))


@effect
def judge_version(
    given: VersionUnderRelease, place: Path, active: Path | None
) -> tuple[Verdict, Verdict, Verdict]:
    """Return the verdicts of the prompt gate, the safety gate and the cost gate.

    Raises:
        PromptInvalid: the results of an evaluation cannot be read.
    """
    new, old = read_evaluation(place), read_evaluation(active) if active else None
    return evidence.judge_version(given, load_prompt(given.prompt), new, old)


@effect
def audit_texts(given: VersionUnderRelease, verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """Return the verdicts of the bias gate, one an attribute of people.

    Raises:
        PromptInvalid: a file is not valid.
        ConfigInvalid: the model is not known, or its price is not.
        Fault: the control store cannot be reached.
    """
    found = load_prompt(given.prompt)
    return bias.audit_texts(given, found, verdicts, REPORTER)


@effect
def report_version(
    given: VersionUnderRelease, place: Path, active: Path | None, verdicts: tuple[Verdict, ...]
) -> Path:
    """Write the report beside the results, publish its summary, and keep the figures.

    Raises:
        PromptInvalid: the results cannot be read.
    """
    page = reporting.write_report(given, place, active, verdicts)
    summary = place.with_suffix(".md").read_text(encoding="utf-8")
    publish(
        create_markdown_artifact,
        key=f"{given.prompt}-prompt",
        markdown=f"{summary}\nThe report with all cases: `{page}`\n",
        description=f"{given.prompt} v{given.version}: {find_outcome(verdicts).value}",
    )
    get_run_logger().info("the report with all cases: %s", page)
    return page
