"""The stories of the loop: what changes in live traffic, and how the service is configured."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from demo.loop.people import Change, keep_older, keep_younger, move_and_misalign, move_office_work

Overlay = Mapping[str, Any]
StoryKind = Literal["concept", "older", "younger"]
YEAR = 2018
"""The year of the people in the traffic that changes."""
SEED = 2
BATCH = 3300
"""Labelled answers that become rows together: half to learn from, half to judge by. With fewer to
judge by, the limits on calibration could not be decided."""
SOURCE: Overlay = {"source": {"kind": "traffic", "maturity": "1 s", "batch_rows": BATCH}}
TRAFFIC: Overlay = {
    **SOURCE,
    "split": {"recent": 1000, "holdout": 0.5},
    "evaluation": {"recent": 500},
    "model": {"iterations": 30},
}
"""Labelled traffic becomes rows; the newest year's rows are those to learn from and to judge by.
Fewer trees, because these are few rows."""
DRIFT: Overlay = {
    "drift": {
        "window_hours": 0.005,
        "alarms": 1,
        "windows": 1,
        "joint": False,
        "settle_seconds": 3.0,
    }
}
"""Windows of 18 seconds; one is enough for an alarm."""
WORLD: Overlay = {
    "rollout": {"policy": "smoke", "start": "auto", "route": {"candidate_concurrency": 64}},
    "performance": {"settle_seconds": 3.0},
    "retrain": {"cool_down": "1 s"},
}
"""What holds in each story: rollouts of half a minute, and nothing waits for hours."""


@dataclass(frozen=True)
class Story:
    """A story: what changes in the traffic, and the service's settings beside the shipped ones."""

    kind: StoryKind
    title: str
    lesson: str
    """What was shown, where it went as it has to."""
    change: Change
    overlay: Overlay = field(default_factory=dict)
    arrives: bool = False
    """Whether the survey of 2017 arrives before, and its release is rolled out."""
    fails: bool = False
    """Whether the release is to be halted by a gate."""
    retrains: bool = False
    """Whether the drift is to start a release."""


STORIES: dict[str, Story] = {
    "concept": Story(
        "concept",
        "the concept changes: software takes over office work, trades hire",
        "found, learnt from labelled traffic, released, rolled out, and the gain measured",
        move_office_work,
        TRAFFIC,
        arrives=True,
    ),
    "worse": Story(
        "concept",
        "the concept changes, and the labels of new training rows are joined in the wrong order",
        "the retrained candidate was halted by a gate, and everything stayed as it was",
        move_and_misalign,
        TRAFFIC,
        arrives=True,
        fails=True,
    ),
    "older": Story(
        "older",
        "only people of 50 and over are asked about",
        "drift was reported, the model is as right as before, and no retraining started",
        keep_older,
        DRIFT,
    ),
    "older_retrain": Story(
        "older",
        "only people of 50 and over are asked about, and `retrain` has `drift`",
        "the drift started exactly one release",
        keep_older,
        {**DRIFT, **SOURCE, "retrain": {"when": ["drift"]}},
        retrains=True,
    ),
    "younger": Story(
        "younger",
        "only people of 18 to 30 are asked about",
        "the model is less right about them, and the estimate without labels followed",
        keep_younger,
    ),
}
