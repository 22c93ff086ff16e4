"""The final state of a run: an error of ours becomes a failed state with the fact first."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from sluice.adapters.storage import close_state
from sluice.adapters.telemetry.log_output import join_json_log
from sluice.adapters.telemetry.tracing import trace_work
from sluice.errors import SluiceError
from sluice.home import find_home
from sluice.log_lines import bind_fields
from sluice.traces import FLOW, FLOW_RUN
from tasks.run.console import EXPECTED, CurrentTask, expect_failures
from tasks.run.lineage import track_lineage
from tasks.run.tags import SUBJECTS, tag_failure, tag_start

LAST_WORD = {"sluice_last_word": True}
"""Marks a log line that the terminal prints at the end of a run anyway."""

SKIPPED = "Skipped"
"""The name of the completed state of a run that had nothing to do."""

P = ParamSpec("P")
R = TypeVar("R")


def state_failure(function: Callable[P, R]) -> Callable[P, R]:
    """End a flow that raised one of our errors as Failed, with `ErrorClass: fact` as its message.

    Goes under `@flow`. The state keeps its default name, because automations listen for it, and
    carries no exception object, so that nothing of it is written to a result store.
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        expect_failures()
        CurrentTask.is_expected = False
        close_state(find_home().root)
        tag_start()
        fields = find_fields()
        names = {FLOW: str(fields["flow"]), FLOW_RUN: str(fields["run_id"])}
        with bind_fields(**fields), trace_work(f"flow {fields['flow']}", names) as span:
            try:
                join_json_log("flow run")
                with track_lineage(f"{function.__module__.replace('.', '/')}.py") as result:
                    result.append(function(*args, **kwargs))
                return cast(R, result[-1])
            except SluiceError as error:
                CurrentTask.is_expected = isinstance(error, EXPECTED)
                tag_failure(error)
                if span is not None:
                    span.error = type(error).__name__
                message = f"{type(error).__name__}: {error}"
                get_run_logger().error(message, extra=LAST_WORD)
                return cast(R, Failed(message=message))

    return run


def find_fields() -> dict[str, Any]:
    """Return what is known of this flow run, by the names of a log line's fields."""
    given = next(
        (flow_run.parameters[name] for name in SUBJECTS if name in flow_run.parameters), ""
    )
    service = getattr(given, "value", given)
    fields = {"run_id": flow_run.id, "run": flow_run.name, "flow": flow_run.flow_name}
    return {**fields, **({"service": str(service)} if service else {})}


def end_skipped(reason: str) -> State[Any]:
    """Return the state of a flow that ends as Completed under the name `Skipped`, with a reason."""
    get_run_logger().info("skipped: %s", reason, extra=LAST_WORD)
    return Completed(name=SKIPPED, message=reason)


def read_failure(state: State[Any]) -> tuple[str, str]:
    """Split a failed state's message into the error's class name and the fact.

    The class is empty if the run ended on an error that is not ours.
    """
    message = state.message or state.name or ""
    name, _, fact = message.partition(": ")
    known = {"SluiceError"}
    classes = [SluiceError]
    while classes:
        found = classes.pop().__subclasses__()
        known |= {item.__name__ for item in found}
        classes += found
    return (name, fact) if name in known else ("", message)
