"""The two kinds of task: an effect retries infrastructure errors, a gate never retries."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.tasks import Task, exponential_backoff

from sluice.errors import Fault
from tasks.run.console import name_stage

RETRIES = 6
FIRST_DELAY = 1.0
JITTER = 0.3

P = ParamSpec("P")
R = TypeVar("R")


def effect(function: Callable[P, R]) -> Task[P, R]:
    """Make a task of a function that has side effects.

    A `Fault` is retried six times after 1, 2, 4 ... 32 seconds and jitter, about a minute in all;
    any other error ends the task at once. The log names the retry that succeeded.
    """

    @functools.wraps(function)
    def attempt(*args: P.args, **kwargs: P.kwargs) -> R:
        with name_stage(_name_task(function)):
            result = function(*args, **kwargs)
        _report_retry()
        return result

    make = task(
        name=_name_task(function),
        task_run_name=_name_task(function),
        retries=RETRIES,
        retry_delay_seconds=exponential_backoff(FIRST_DELAY),
        retry_jitter_factor=JITTER,
        retry_condition_fn=_is_fault,
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    return make(attempt)


def gate(function: Callable[P, R]) -> Task[P, R]:
    """Make a task of a function that raises a verdict: it runs once, whatever the verdict."""
    make = task(
        name=_name_task(function),
        task_run_name=_name_gate_run,
        retries=0,
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    return make(function)


def _name_task(function: Callable[..., Any]) -> str:
    return function.__name__.replace("_", " ")


def _name_gate_run() -> str:
    from prefect.runtime import task_run

    verdict = task_run.parameters.get("verdict")
    return f"{verdict.gate} gate" if verdict is not None else "gate"


def _is_fault(task_: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    try:
        state.result(raise_on_failure=True)
    except Fault:
        return True
    except Exception:  # a verdict, a refusal or a bug: the same call would end the same way
        return False
    return False


def _report_retry() -> None:
    context = TaskRunContext.get()
    attempt = context.task_run.run_count if context else 1
    if context and attempt > 1:
        get_run_logger().warning(
            "%s: attempt %d of %d succeeded; the retry saved this run",
            context.task.name,
            attempt,
            RETRIES + 1,
        )
