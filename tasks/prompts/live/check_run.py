"""One run of the flow `check_prompts`: each prompt that serves, its page, event and signal."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from sluice.adapters.control.store import prepare_control
from sluice.errors import DataUnavailable, SluiceError
from sluice.report.prompts.check import write_check
from sluice.verdict import Outcome
from tasks.monitoring.monitor import list_serving_prompts
from tasks.prompts.live.checking import REGRESSED, PromptCheck, check_active, list_names
from tasks.prompts.version import EvaluationReporter
from tasks.run.artifacts import create_page, publish
from tasks.run.events import publish_event
from tasks.run.forms import ALL
from tasks.run.state import end_skipped


class CheckRun:
    """Checks prompts one after another; an error of one does not stop the others."""

    def __init__(self, cause: str) -> None:
        self._cause = cause
        self.found: list[str] = []
        self.problems: list[str] = []

    @contextmanager
    def _collect_errors(self, prompt: str) -> Iterator[None]:
        try:
            yield
        except SluiceError as error:
            self.problems.append(f"{prompt}: {type(error).__name__}: {error}")

    def check(self, prompt: str) -> None:
        """Ask the version that serves anew, publish its page, and tell a fall.

        A run that a fall has started asks the fallback too, and tells no fall again.
        """
        log, is_again = get_run_logger(), self._cause == REGRESSED
        reporter = EvaluationReporter(lambda words: log.info("%s", words), publish_event)
        with self._collect_errors(prompt):
            checked = check_active(prompt, reporter, with_fallback=is_again)
            if checked is None:
                return
            other = checked.fallback
            page = write_check(
                checked.new, checked.old, other.new if other else None, checked.verdicts
            )
            words = f"v{checked.new.version}: {checked.outcome.value}"
            publish(create_page, f"{prompt}-prompt-check", markdown=page, description=words)
            self.found.append(f"{prompt} {words}: {checked.reason}")
            if other:
                self.found.append(f"{prompt} by its fallback: {other.outcome.value}")
            if checked.outcome is Outcome.FAIL and not is_again:
                publish_event(prompt, REGRESSED, describe_fall(checked))

    def end(self) -> State[Any]:
        """Return the flow run's final state; what was found is its message.

        Raises:
            DataUnavailable: a prompt could not be checked; all others were.
        """
        if self.problems:
            raise DataUnavailable("; ".join([*self.problems, *self.found]))
        return (
            Completed(message="; ".join(self.found)) if self.found else end_skipped("none serves")
        )


def describe_fall(checked: PromptCheck) -> dict[str, Any]:
    """Return the payload of the event of a fall."""
    return {
        "version": checked.new.version,
        "model": checked.new.model,
        "checks": list_names(checked.failed),
        "reason": checked.reason,
    }


def choose_serving(prompt: str) -> list[str]:
    """Return one prompt, or all that serve.

    Raises:
        ControlUnavailable: the control store does not answer.
    """
    return list_serving_prompts(prepare_control()) if prompt == ALL else [prompt]
