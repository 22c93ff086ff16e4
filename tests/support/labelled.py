"""Labelled traffic in a traffic log, written as the log-writer writes it."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from serving.log.records import Answer, Feedback, Record
from serving.log.tables import Logged, build_rows, find_table
from sluice.adapters.traffic.log import append_records
from sluice.home import Home
from support.gateway.records import AT, make_answer

START = datetime.fromtimestamp(AT, UTC)
_RUNS = count()


def log_records(home: Home, *records: Record) -> None:
    """Write records to their tables, as one run of a worker."""
    source = f"run{next(_RUNS)}"
    found: dict[tuple[Any, str], list[Logged]] = {}
    for position, record in enumerate(records):
        found.setdefault(find_table(record), []).append(Logged(record, source, position))
    for (kind, service), logged in found.items():
        uri = home.answers(service) if isinstance(logged[0].record, Answer) else home.feedback
        append_records(uri, build_rows(kind, logged), {source: len(records)}, AT)


def answer(number: int, score: float = 0.7, seconds: float = 0.0, **facts: Any) -> Answer:
    """Make an answer of a binary model, so many seconds after the start."""
    inputs = facts.pop("inputs", {"age": 40, "sex": "female"})
    outputs = {"prediction": int(score >= 0.5), "probabilities": {"0": 1 - score, "1": score}}
    values = {
        "at": AT + seconds,
        "inputs": json.dumps(inputs).encode(),
        "outputs": json.dumps(outputs).encode(),
    }
    return make_answer(number, **{**values, **facts})


def feedback(number: int | str, label: Any, seconds: float = 0.0, **facts: Any) -> Feedback:
    """Make a label of an answer, so many seconds after the start."""
    request = number if isinstance(number, str) else f"r{number}"
    values: dict[str, Any] = {"service": "employment"}
    values = {"label": json.dumps(label), **values, **facts}
    return Feedback(request, AT + seconds, **values)


def after(seconds: float) -> datetime:
    """Return the moment so many seconds after the start."""
    return START + timedelta(seconds=seconds)


def list_ids(chunks: Sequence[Any]) -> list[str]:
    """Return the request ids of chunks of labelled traffic, in their order."""
    return [one for chunk in chunks for one in chunk.table["request_id"].to_pylist()]
