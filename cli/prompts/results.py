"""Running the flow `release_prompt` here, and printing what it found."""

from time import time
from typing import TYPE_CHECKING, Any

from cli.output import say, show_rows, show_verdicts
from cli.prompts.summary import summarize, write_summary
from cli.runs import RunResult, report_end, say_skipped
from sluice.home import find_home

if TYPE_CHECKING:
    from pathlib import Path

    from prefect.client.schemas.objects import State

    from sluice.prompts.evaluation.estimate import EvaluationEstimate

CLOCK_SECONDS = 1.0
"""How far a disk's times may lie behind the clock."""
PARTS = ("part", "calls", "kept", "tokens, about", "at most", "cost at most", "time, about")


def run_prompt_release(
    name: str,
    version: int,
    cause: str,
    summary: "Path | None" = None,
    *,
    is_published: bool = True,
) -> RunResult:
    """Run the flow, print its verdicts, what the versions cost, and the report; return its end.

    `summary` is the file for the verdicts as Markdown.
    """
    from flows.prompts.release_prompt import release_prompt

    began = time()
    state: State[Any] = release_prompt(name, version, is_published, cause, return_state=True)
    page = find_report(name, version, began)
    if page:
        show_results(page)
    result = report_end(state)
    if not say_skipped(state) and is_published and result.code == 0:
        say_published(state.result())
    if page:
        say(f"report: {page}")
    write_summary(summary, summarize(name, version, page, result, str(state.message)))
    return result


def say_published(published: Any) -> None:
    """Print what became of a version that was published."""
    named = f"{published.prompt} v{published.version}"
    if published.is_active:
        say(f"{named} is active")
    if published.is_candidate:
        say(f"{named} is the candidate; next: `sluice rollout {published.prompt}`")


def find_report(name: str, version: int, since: float) -> "Path | None":
    """Return the report that was written since a time, in seconds of the epoch; else None."""
    folder = find_home().evaluations(name) / "answers"
    pages = sorted(folder.glob(f"v{version}-*.html"), key=lambda path: path.stat().st_mtime)
    is_new = pages and pages[-1].stat().st_mtime >= since - CLOCK_SECONDS
    return pages[-1] if is_new else None


def show_results(page: "Path") -> None:
    """Print the verdicts of a report, and the versions with their tokens and costs.

    Raises:
        PromptInvalid: the results beside the report cannot be read.
    """
    from sluice.report.prompts.versions import list_versions
    from tasks.prompts.reporting import read_report

    found = read_report(page)
    name, number = found.new.prompt, found.new.version
    say("")
    show_verdicts(f"Verdicts of {name} v{number}", list(found.verdicts))
    cases = f"{name}, {len(found.new.cases):,} cases, {found.new.model}"
    show_rows(cases, list_versions(found.new, found.old))


def show_estimate(estimate: "EvaluationEstimate") -> None:
    """Print what an evaluation will take."""
    from sluice.report.prompts.estimate import describe_estimate, list_parts

    title = f"Estimate of {estimate.prompt} v{estimate.version}"
    show_rows(title, list_parts(estimate), PARTS)
    for line in describe_estimate(estimate):
        say(line)
