"""An evaluation that runs in the terminal at once: its verdicts, its report, its exit code."""

from pathlib import Path

from cli.output import report, report_waiting, say
from cli.prompts.results import show_results
from cli.prompts.summary import summarize, write_summary
from cli.runs import RunResult, say_failure
from sluice.errors import SluiceError


def run_trial(name: str, version: int, summary: Path | None = None) -> RunResult:
    """Take a version through its gates without Prefect, and print how it ended.

    `summary` is the file for the verdicts as Markdown.

    Raises:
        PromptInvalid: a file is not valid, or the prompt has the name of a file of configs/.
        PromptChanged: the version was evaluated or published with another content.
        ConfigInvalid: the model is not known, or its price is not.
        ModelRetired: the provider has retired the model.
        Fault: the control store or the registry cannot be reached.
    """
    from tasks.prompts.trial import try_version

    try:
        with report_waiting("evaluating"):
            trial = try_version(name, version, report)
    except SluiceError as error:
        failed = RunResult(1, type(error).__name__)
        write_summary(summary, summarize(name, version, None, failed, str(error)))
        raise
    show_results(trial.page)
    result = RunResult(0)
    if halting := next((item for item in trial.verdicts if not item.passed), None):
        from sluice.report.next_steps import describe_halt

        halt = describe_halt(halting, name, again=f"prompt evaluate {name} {version}")
        result = say_failure(type(halt).__name__, str(halt))
    else:
        say(f"next: sluice prompt publish {name} {version}")
    say(f"report: {trial.page}")
    write_summary(summary, summarize(name, version, trial.page, result, ""))
    return result
