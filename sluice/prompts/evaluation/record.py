"""The result of an evaluation as it is kept: one figure a criterion, and what it was made of."""

import json
from pathlib import Path

from pydantic import Field, ValidationError

from sluice.config.yaml_file import Section
from sluice.documents import DocumentInvalid, read_json


class CriterionResult(Section):
    """What a version reached by one criterion: mean or share, its bounds, and the cases behind it.

    Bounds are one-sided 95 % each, from 0 to 1; None where none was computed.
    """

    value: float = Field(ge=0.0, le=1.0)
    lower: float | None = Field(None, ge=0.0, le=1.0)
    upper: float | None = Field(None, ge=0.0, le=1.0)
    cases: int = Field(ge=0)


class EvaluationRecord(Section):
    """One evaluation of a version: identities, criteria, cost in US dollars a case."""

    prompt: str
    version: int = Field(ge=1)
    identity: str
    eval_set: str
    """Identity of the evaluation set."""
    environment: str
    model: str
    """The exact model or revision that answered."""
    ended: str
    """Time of its end, ISO 8601 in UTC."""
    outcome: str
    criteria: dict[str, CriterionResult]
    cost: float | None = Field(None, ge=0.0)
    similarity: str = ""
    """What compared texts; scores of another similarity are not comparable."""
    answers: str = ""
    """Name of the file with the answers; of a trial in the terminal it ends with `-trial.json`."""
    commit: str = ""
    """The commit of the code; empty in records of earlier versions."""
    dirty: bool = False
    """Whether the tree had changes that the commit does not have."""
    lock_hash: str = ""
    python: str = ""
    platform: str = ""
    """The environment, as a release of a model records it."""

    def to_json(self) -> str:
        """Return the record as JSON for its file."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"


def read_evaluations(folder: Path) -> list[EvaluationRecord]:
    """Return the stored evaluations of a prompt by the time of their end; broken files are not.

    A file is broken where a process was killed while it wrote: the evaluation can be repeated.
    """
    found = []
    for path in folder.glob("*.json"):
        try:
            found.append(EvaluationRecord.model_validate(read_json(path)))
        except (DocumentInvalid, ValidationError, OSError):
            continue
    return sorted(found, key=lambda record: record.ended)


def find_latest(
    records: list[EvaluationRecord], version: int, identity: str
) -> EvaluationRecord | None:
    """Return the last evaluation of a version as it is now, None if there is none."""
    fitting = [item for item in records if item.version == version and item.identity == identity]
    return fitting[-1] if fitting else None
