"""Facts of lineage: a run of a job, the data sets that it read, and those that it wrote.

The words are those of OpenLineage: a job is what runs again and again, a run is one time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class RunState(StrEnum):
    """The state of a run that an event announces."""

    START = "START"
    COMPLETE = "COMPLETE"
    FAIL = "FAIL"
    ABORT = "ABORT"


@dataclass(frozen=True)
class QualityCheck:
    """One check of a gate on a data set; `column` is None where it is about the whole."""

    name: str
    passed: bool
    column: str | None = None


@dataclass(frozen=True)
class DataSet:
    """A data set: a table, a file, a model or a prompt, named within a namespace.

    `columns` are types by name, `rows` their number, None where nobody counted.
    """

    namespace: str
    name: str
    version: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    rows: int | None = None
    checks: tuple[QualityCheck, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """What identifies it, whatever the version."""
        return (self.namespace, self.name)


@dataclass(frozen=True)
class LineageJob:
    """A job: one flow for one service; `repository` is the address of its code, or empty."""

    namespace: str
    name: str
    description: str = ""
    repository: str = ""
    path: str = ""
    commit: str = ""


@dataclass(frozen=True)
class LineageRun:
    """One run of a job. `run_id` and `parent` are UUIDs; `parent` is empty where it has none."""

    run_id: str
    job: LineageJob
    engine_version: str
    parent: str = ""
    parent_job: str = ""
    error: str = ""
    inputs: tuple[DataSet, ...] = ()
    outputs: tuple[DataSet, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
