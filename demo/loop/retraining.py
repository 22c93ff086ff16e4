"""Stories in which the concept changes: what was learnt is wrong now, and is learnt again."""

from collections.abc import Callable
from datetime import UTC, datetime

from cli.output import say
from demo.loop.people import read_survey
from demo.loop.scenes import Loop, describe_window
from demo.loop.stories import BATCH, SEED, YEAR
from demo.loop.world import SERVICE
from sluice.control.timeline import GAIN
from sluice.data.split import split_rows
from sluice.errors import ServerUnavailable

FIRST_ROWS = 5000
"""People whom callers ask about before the retraining; the others are asked about after it."""
WINDOWS = 3
"""Windows of labels in which a change has to be found."""
MEASURED = 600
"""Labelled answers of the new version by which the gain is measured."""
GAIN_SECONDS = 60.0


def follow_arrival(loop: Loop, year: int, ingest: Callable[[int], None]) -> None:
    """Let a year of data arrive, and wait until its release serves.

    Raises:
        ServerUnavailable: it does not.
    """
    rows = read_survey(year)
    held = split_rows(rows, loop.config.data, loop.config.split).holdout
    with loop.send(rows[held], f"people of {year}", feedback=0.0):
        ingest(year)
        release = loop.await_release(2)
        if release.version is None or not loop.await_promotion(1, release.version):
            raise ServerUnavailable("the data's release does not serve; look at the rollout's page")


def play_retraining(loop: Loop) -> bool:
    """Play a change of concept: found, learnt, released, rolled out, measured."""
    rows = loop.story.change(read_survey(YEAR), loop.config, SEED)
    order = rows.sample(frac=1.0, random_state=SEED)
    before, after = order[:FIRST_ROWS], order[FIRST_ROWS:]
    champion, began = loop.champion, datetime.now(UTC)
    say(f"\nthen {loop.story.title}")
    with loop.send(before, f"people of {YEAR}"):
        is_found = _await_drop(loop, champion, began)
        loop.await_labels(champion, began, BATCH)
    # No labels meanwhile: as many again would start the next release before this one is measured.
    with loop.send(after, f"other people of {YEAR}", feedback=0.0):
        loop.watch()
        release = loop.await_release(3)
        if loop.story.fails:
            return is_found and _is_unchanged(loop, champion)
        if release.version is None or not loop.await_promotion(2, release.version):
            return False
    promoted = datetime.now(UTC)
    with loop.send(after, f"other people of {YEAR}, whose labels come back"):
        loop.await_labels(release.version, promoted, MEASURED)
    return is_found and _tell_gain(loop, release.version)


def _await_drop(loop: Loop, version: int, began: datetime) -> bool:
    """Run the monitor for each window of labels; return whether three show the drop."""
    size = loop.config.performance.window
    for number in range(1, WINDOWS + 1):
        loop.await_labels(version, began, number * size)
        windows = loop.judge_performance(version)
        for verdict in windows[number - 1 :]:
            loop.tell(f"{verdict.n} labels: {describe_window(verdict)}")
        found = loop.control.performance.list_last(SERVICE, version, len(windows) or 1)
        if dropped := [item for item in found if item.event == "performance.dropped"]:
            loop.tell(f"performance.dropped, in window {dropped[0].number} after the change")
            return True
    loop.tell(f"NOT found in {WINDOWS} windows of {size} labels")
    return False


def _is_unchanged(loop: Loop, champion: int) -> bool:
    rollouts = loop.control.rollouts.list_rollouts(SERVICE)
    same = loop.champion == champion and len(rollouts) == 1
    loop.tell(f"v{loop.champion} serves{' as before' if same else '; NOT as before'}")
    return same


def _tell_gain(loop: Loop, version: int) -> bool:
    """Run `watch` until the gain is measured, and tell it; return whether it is better.

    The run that measures it may be one of the schedule: then its message was not told yet.
    """
    told = list[str]()

    def measure() -> str:
        told.append(loop.watch())
        found = loop.control.timeline.list_entries(SERVICE)
        gains = [item for item in found if (item.action, item.version) == (GAIN, version)]
        return gains[0].message if gains else ""

    gain: str = loop.wait("the gain", measure, GAIN_SECONDS)
    if not any(gain in words for words in told):
        loop.tell(f"the gain: {gain}")
    return ", better" in gain
