"""Feedback joined with the answers that it is about, by the rules of the gateway.

Request ids are unique within a service, so feedback that names a service is about that one's
answers alone. A request id that was answered twice stands for its last answer. Where feedback
contradicts itself, the last value of each field counts. Feedback about an answer that is not in
the table is dropped.
"""

import pyarrow as pa
import pyarrow.compute as pc

FIELDS = ("label", "rating", "value")
REQUEST = "request_id"


def join_feedback(answers: pa.Table, feedback: pa.Table, service: str) -> pa.Table:
    """Return one row per request id of a service: its last answer, label, rating and value."""
    words = take_last_words(_select_service(feedback, service))
    return take_last_answers(answers).join(words, REQUEST, join_type="left outer")


def take_last_answers(answers: pa.Table) -> pa.Table:
    """Return one row per request id: its last answer."""
    others = [name for name in answers.column_names if name != REQUEST]
    return _take_last(answers, others, skip_nulls=False)


def take_last_labels(feedback: pa.Table, service: str) -> pa.Table:
    """Return one row per request id that has a label: `label`, and `labelled_at`, its arrival."""
    named = _select_service(feedback, service)
    labelled = named.filter(pc.is_valid(named["label"]))
    found = _take_last(labelled, ["label", "at"], skip_nulls=False)
    names = {"at": "labelled_at"}
    return found.rename_columns([names.get(name, name) for name in found.column_names])


def _select_service(feedback: pa.Table, service: str) -> pa.Table:
    named = pc.fill_null(feedback["service"], "")
    return feedback.filter(pc.is_in(named, pa.array([service, ""])))


def take_last_words(feedback: pa.Table) -> pa.Table:
    """Return one row per request id: its last label, rating and value, null if there is none."""
    return _take_last(feedback, list(FIELDS), skip_nulls=True)


def _take_last(table: pa.Table, columns: list[str], skip_nulls: bool) -> pa.Table:
    option = pc.ScalarAggregateOptions(skip_nulls=skip_nulls, min_count=0)
    # "last" depends on the order of the rows, which only a single thread keeps.
    ordered = table.sort_by([("at", "ascending"), ("position", "ascending")])
    grouped = ordered.group_by(REQUEST, use_threads=False)
    found = grouped.aggregate([(name, "last", option) for name in columns])
    return found.rename_columns([name.removesuffix("_last") for name in found.column_names])
