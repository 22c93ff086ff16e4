"""The file `deployments.yaml`: when flows run; read strictly before it goes to a server."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from sluice.config.notifications import Notification
from sluice.config.yaml_file import KeyInvalid, Section, read_section

MARK = "sluice"
"""The tag that marks a deployment on a server as one of ours."""
Parameters = dict[str, JsonValue]


class WorkPool(Section):
    """The work pool in which a deployment's runs wait for a worker."""

    name: str
    work_queue_name: str | None = None
    job_variables: Parameters = Field(default_factory=dict)


class ConcurrencyLimit(Section):
    """How many runs of a deployment may run at once, and what happens to one more."""

    limit: int = Field(ge=1)
    collision_strategy: Literal["ENQUEUE", "CANCEL_NEW"] = "ENQUEUE"
    grace_period_seconds: int | None = Field(None, ge=60)


class Schedule(Section):
    """When a deployment runs by itself: one of cron, interval (seconds) and rrule."""

    slug: str | None = None
    cron: str | None = None
    interval: float | None = Field(None, gt=0)
    rrule: str | None = None
    timezone: str | None = None
    day_or: bool | None = None
    anchor_date: str | None = None
    active: bool = True
    parameters: Parameters = Field(default_factory=dict)
    replaces: str | None = None

    @model_validator(mode="after")
    def _has_one_rhythm(self) -> Self:
        given = [self.cron, self.interval, self.rrule]
        if sum(value is not None for value in given) != 1:
            raise ValueError("give exactly one of cron, interval and rrule")
        return self


class Trigger(Section):
    """The event that starts a run, and the run's parameters from it."""

    name: str
    type: Literal["event"] = "event"
    description: str = ""
    enabled: bool = True
    match: dict[str, JsonValue] = Field(default_factory=dict)
    match_related: dict[str, JsonValue] = Field(default_factory=dict)
    after: list[str] = Field(default_factory=list)
    expect: list[str] = Field(default_factory=list)
    for_each: list[str] = Field(default_factory=list)
    posture: Literal["Reactive", "Proactive"] = "Reactive"
    threshold: int = Field(1, ge=0)
    within: float = Field(0, ge=0)
    schedule_after: float = Field(0, ge=0)
    parameters: Parameters = Field(default_factory=dict)
    job_variables: Parameters = Field(default_factory=dict)


class Deployment(Section):
    """One flow with its schedules, triggers, form defaults and limits."""

    name: str
    entrypoint: str
    work_pool: WorkPool
    description: str | None = None
    version: str | None = None
    tags: list[str]
    parameters: Parameters = Field(default_factory=dict)
    enforce_parameter_schema: bool = True
    paused: bool | None = None
    concurrency_limit: ConcurrencyLimit | None = None
    schedules: list[Schedule] = Field(default_factory=list)
    triggers: list[Trigger] = Field(default_factory=list)
    pull: list[dict[str, JsonValue]] | None = None

    @model_validator(mode="after")
    def _is_marked(self) -> Self:
        if MARK not in self.tags:
            raise ValueError(f"tags lack '{MARK}', by which a deployment that left is found")
        return self


class Deployments(Section):
    """All keys of a deployments file; `definitions` is for its YAML anchors."""

    pull: list[dict[str, JsonValue]] | None = None
    definitions: dict[str, JsonValue] = Field(default_factory=dict)
    deployments: list[Deployment] = Field(min_length=1)
    notifications: list[Notification] = Field(default_factory=list)

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        names = [item.name for item in self.notifications]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise KeyInvalid(f"notifications.{index}.name", f"'{name}' is there already")
        return self


def read_deployments(file: Path) -> Deployments:
    """Return the content of a deployments file.

    Raises:
        ConfigInvalid: it is not YAML, a key is unknown or a value not allowed; names the line.
    """
    return read_section(file, Deployments)
