"""`python -m demo.loop.play STORY`: one story of the loop, in the world that the environment names.

Releases, rollouts and retrainings are started by events alone. `monitor`, `watch` and
`detect-drift`, which are due each few minutes elsewhere, are run here as soon as there is something
for them.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from cli.output import EXIT_GATE, note_ready, report_waiting, say
from cli.runs import open_terminal, report_end
from demo.ending import play_to_end
from demo.loop.retraining import follow_arrival, play_retraining
from demo.loop.scenes import Loop
from demo.loop.shift import play_older, play_younger
from demo.loop.stories import STORIES, Story
from demo.loop.world import SERVICE
from demo.stack import wait_for_champion
from sluice.adapters.server.background import (
    BackgroundProcess,
    ShutdownSignals,
    last_line,
    signal_group,
    start_background,
)
from sluice.adapters.server.record import StackRecord, read_stack
from sluice.config.overrides import Overrides
from sluice.errors import DataMissing, ServerUnavailable
from sluice.home import PROJECT, SAMPLES, Home, find_home
from tasks.run.console import quiet_terminal

START, ARRIVAL = (2015, 2016), 2017
UP_SECONDS, GRACE_SECONDS, DOWN_SECONDS = 240.0, 10.0, 70.0
POLL_SECONDS = 0.3
FAILED = "it did NOT go as it has to, see above"


def main() -> int:
    """Play the story; return 0 where it went as it has to."""
    parser = argparse.ArgumentParser(prog="demo.loop.play", description=__doc__.partition("\n")[0])
    parser.add_argument("story", choices=tuple(STORIES))
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    with ShutdownSignals() as signals:
        return play_to_end(
            lambda: _play_in_terminal(STORIES[arguments.story], arguments.keep, signals),
            lambda: signals.exit_code,
        )


def _play_in_terminal(story: Story, keep: bool, signals: ShutdownSignals) -> int:
    started, home = time.monotonic(), find_home()
    with open_terminal(SERVICE):
        import prefect.main  # noqa: F401 - it sets up the log

        quiet_terminal()
        for year in START:
            _ingest(year)
        with start_stack(home, signals) as process:
            run = _release_first()
            loop = Loop(home, await_stack(home, process), story)
            loop.tell("v1 serves; its release:")
            loop.tell_verdicts(run)
            is_right = _play(loop)
            say(f"\n{story.title}: {story.lesson if is_right else FAILED}")
            say(f"{time.monotonic() - started:.0f} s in all")
            if keep:
                _keep(loop.stack)
            return 0 if is_right else EXIT_GATE


def _play(loop: Loop) -> bool:
    story = loop.story
    if story.arrives:
        follow_arrival(loop, ARRIVAL, _ingest)
    if story.kind == "concept":
        return play_retraining(loop)
    return play_younger(loop) if story.kind == "younger" else play_older(loop)


def _release_first() -> str:
    """Release the first years; the first version becomes champion. Return the flow run's id.

    Raises:
        DataMissing: the release did not end well.
    """
    from flows.release import release

    say(f"the release of {START[0]}-{START[-1]}, the first: its version becomes champion")
    state = release(SERVICE, -1, Overrides(), "first data", return_state=True)
    if result := report_end(state).code:
        raise DataMissing(f"the first release ended with code {result}")
    return str(state.state_details.flow_run_id)


def _ingest(year: int) -> None:
    """Take a year of the survey into the service's table.

    Raises:
        DataMissing: it was not taken.
    """
    from flows.ingest import ingest

    path = SAMPLES / f"acs_employment_{year}.parquet"
    state = ingest(SERVICE, str(path), return_state=True)
    if result := report_end(state).code:
        raise DataMissing(f"{year} was not ingested, code {result}")
    taken: Any = state.result()
    version, rows = taken["version"], taken["rows"]
    say(f"the survey of {year} arrives: data version {version}, {rows:,} rows in all")


@contextmanager
def start_stack(home: Home, signals: ShutdownSignals) -> Iterator[BackgroundProcess]:
    """Start `sluice up` in the world, which ends with the block.

    It brings worker, gateway and pages, and deploys deployments.yaml, whose triggers do the rest.
    """
    say("`sluice up` starts worker, gateway and pages, and deploys deployments.yaml, meanwhile")
    log = home.logs / "up.log"
    process = start_background("`sluice up`", ["-m", "cli", "up"], os.environ, log, PROJECT)
    try:
        yield process
    finally:
        signals.begin_shutdown()
        with report_waiting("ending `sluice up`"):
            end_stack(process, signals.is_urgent)


def end_stack(process: BackgroundProcess, is_urgent: Callable[[], bool]) -> None:
    """End `sluice up`; what is in progress after ten seconds is killed, since nobody needs it."""
    began = time.monotonic()
    signal_group(process.pid, signal.SIGTERM)
    while process.is_alive and (waited := time.monotonic() - began) < DOWN_SECONDS:
        time.sleep(POLL_SECONDS)
        if waited > GRACE_SECONDS or is_urgent():
            signal_group(process.pid, signal.SIGTERM)  # from the second one on it does not wait
    process.stop(signal.SIGKILL, GRACE_SECONDS)


def await_stack(home: Home, process: BackgroundProcess) -> StackRecord:
    """Wait until each part of the stack answers, and the gateway serves the first version.

    Raises:
        ServerUnavailable: it has ended, or does not come up within four minutes.
    """
    deadline = time.monotonic() + UP_SECONDS
    with report_waiting("`sluice up`"):
        while (stack := read_stack(home)) is None or stack.pid != process.pid:
            if not process.is_alive:
                raise ServerUnavailable(process.describe_end())
            if time.monotonic() > deadline:
                raise ServerUnavailable(
                    f"`sluice up` is not up after {UP_SECONDS:.0f} s; its last line: "
                    f"{last_line(process.log)}"
                )
            time.sleep(POLL_SECONDS)
        wait_for_champion(home, stack.gateway, SERVICE, 1)
    for name, address in (("Prefect", stack.prefect), ("status", stack.rollouts)):
        say(f"{name:9}{address}")
    return stack


def _keep(stack: StackRecord) -> None:
    say(f"{stack.prefect}, {stack.mlflow} and {stack.rollouts} stay up until Ctrl-C")
    note_ready()
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
