"""The verdicts of a release as Markdown in a file of the user's, as of a CI job."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from cli.runs import RunResult


def check_summary(summary: str) -> Path | None:
    """Return the file for the summary, None if none is asked for.

    Raises:
        BadParameter: it cannot be a file that is written.
    """
    if not summary:
        return None
    file = Path(summary).absolute()
    if file.is_dir() or not file.parent.is_dir():
        words = "is a folder" if file.is_dir() else f"is in no folder: {file.parent}"
        raise typer.BadParameter(f"--summary: found '{summary}', which {words}; allowed: a file")
    return file


def check_without_key(name: str, version: int) -> str:
    """Return, as Markdown, what can be said of a version without its provider's key.

    Empty where the model can be asked.

    Raises:
        PromptInvalid: a file is not valid.
        ConfigInvalid: the model is unknown, or the environment refuses it.
        ModelRetired: the provider has retired it.
    """
    from sluice.adapters.llm.readiness import find_obstacle
    from sluice.errors import ProviderRefused
    from sluice.home import environment_name
    from sluice.prompts.differences.versions import describe_difference
    from sluice.prompts.evaluation.checks import plan_checks
    from sluice.prompts.folder import load_active, load_prompt
    from sluice.report.prompts.summary import write_unasked

    found, environment = load_prompt(name), environment_name()
    chosen = found.find_version(version)
    obstacle = find_obstacle(chosen.model, environment)
    if obstacle is None:
        return ""
    if not isinstance(obstacle, ProviderRefused):
        raise obstacle
    checks = plan_checks(chosen, found.eval_set, found.limits.of(environment))
    wished = load_active().of(environment).get(name)
    others = describe_difference(found.versions[wished], chosen) if wished else []
    return write_unasked(found, version, checks, str(obstacle), others)


def summarize(
    name: str, version: int, report: Path | None, result: "RunResult", message: str
) -> str:
    """Return the verdicts as Markdown; where there are none, why."""
    from sluice.report.prompts.summary import write_failure

    if report:
        return report.with_suffix(".md").read_text(encoding="utf-8")
    fact = message.removeprefix(f"{result.error}: ")
    return write_failure(name, version, result.error or "no verdict", fact)


def write_summary(file: Path | None, text: str) -> None:
    """Write a summary, if a file for it was named.

    Raises:
        StorageFull: there is no room.
        DataUnavailable: it cannot be written.
    """
    from sluice.adapters.storage import PUBLIC, explain_os_error, write_whole

    if file is None:
        return
    try:
        write_whole({file: text}, PUBLIC)
    except OSError as error:
        raise explain_os_error(error, str(file)) from error
