"""The rows of a batch prediction."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sluice.errors import AnswerInvalid, DataInvalid
from sluice.scoring.inputs import BadRow
from sluice.scoring.output import AnswerFormat, describe_output, write_bad_rows, write_rows
from sluice.stats.holdout import Predictions

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
KEPT = pa.table({"id": [7, 8]})


def write(answers: Predictions, form: AnswerFormat) -> pa.Table:
    schema = describe_output(KEPT.schema, ("id",), form, "a.parquet")
    return write_rows(KEPT, answers, form, schema, 3, NOW)


def test_two_classes_have_the_probabilities_of_a_gateways_answer() -> None:
    answers = Predictions(np.array(["yes", "no"], dtype=object), np.array([0.8, 0.1]))
    rows = write(answers, AnswerFormat(("no", "yes"), "yes")).to_pylist()
    assert rows[0] == {
        "id": 7,
        "prediction": "yes",
        "probabilities": [("no", 1.0 - 0.8), ("yes", 0.8)],
        "version": 3,
        "scored_at": NOW,
    }
    assert dict(rows[1]["probabilities"]) == {"no": 0.9, "yes": 0.1}


def test_the_first_class_may_be_the_positive_one() -> None:
    answers = Predictions(np.array([1, 0]), np.array([0.2, 0.7]))
    rows = write(answers, AnswerFormat((0, 1), 0)).to_pylist()
    assert dict(rows[0]["probabilities"]) == {"0": 0.2, "1": 0.8}
    assert rows[0]["prediction"] == 1


def test_several_classes_have_a_probability_each() -> None:
    scores = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
    rows = write(Predictions(np.array([2, 0]), scores), AnswerFormat((0, 1, 2))).to_pylist()
    assert [dict(row["probabilities"]) for row in rows] == [
        {"0": 0.2, "1": 0.3, "2": 0.5},
        {"0": 1.0, "1": 0.0, "2": 0.0},
    ]


def test_a_regression_has_numbers_and_no_probabilities() -> None:
    found = write(Predictions(np.array([1.5, -2.0])), AnswerFormat(()))
    assert found.column_names == ["id", "prediction", "version", "scored_at"]
    assert found["prediction"].to_pylist() == [1.5, -2.0]


@pytest.mark.parametrize(
    ("classes", "kind"),
    [((False, True), "bool"), ((1, 2), "int64"), ((0.5, 1.5), "double"), (("a", "b"), "string")],
)
def test_predictions_have_the_type_of_the_classes(classes: Any, kind: str) -> None:
    assert str(AnswerFormat(classes).label_type) == kind


def test_no_rows_are_written_as_no_rows() -> None:
    form = AnswerFormat((0, 1), 1)
    schema = describe_output(KEPT.schema, ("id",), form, "a")
    empty = Predictions(np.array([], dtype=np.int64), np.empty(0))
    assert write_rows(KEPT.slice(0, 0), empty, form, schema, 3, NOW).num_rows == 0


def test_an_invalid_answer_is_not_written() -> None:
    with pytest.raises(AnswerInvalid, match="found nan as a value"):
        write(Predictions(np.array([1.0, np.nan])), AnswerFormat(()))


@pytest.mark.parametrize("kind", [pa.uint64(), pa.time64("us"), pa.duration("s"), pa.null()])
def test_a_type_that_delta_lacks_cannot_be_kept(kind: pa.DataType) -> None:
    with pytest.raises(DataInvalid, match=r"a\.parquet: column 'x' cannot be kept: found"):
        describe_output(pa.schema([("x", kind)]), ("x",), AnswerFormat(()), "a.parquet")


def test_a_column_with_the_name_of_the_outputs_own_cannot_be_kept() -> None:
    schema = pa.schema([("version", pa.int64())])
    with pytest.raises(DataInvalid, match="allowed: any but prediction, probabilities, version"):
        describe_output(schema, ("version",), AnswerFormat(()), "a")


def test_kept_types_become_those_of_delta() -> None:
    kept = pa.table(
        {
            "a": pa.array(["x", "y"]).dictionary_encode(),
            "b": pa.array([1, 2], pa.uint32()),
            "c": pa.array([1_500, 2_500], pa.timestamp("ns", tz="Europe/London")),
            "d": pa.array(["x", "y"], pa.large_string()),
        }
    )
    form = AnswerFormat(())
    schema = describe_output(kept.schema, kept.column_names, form, "a")
    found = write_rows(kept, Predictions(np.array([1.0, 2.0])), form, schema, 1, NOW)
    kinds = [str(field.type) for field in found.schema][:4]
    assert kinds == ["string", "int64", "timestamp[us, tz=UTC]", "string"]
    assert found["a"].to_pylist() == ["x", "y"]


def test_bad_rows_are_written_with_their_reasons() -> None:
    rows = write_bad_rows([BadRow("a", 3, "size", "inf", "a finite number")], 2, NOW).to_pylist()
    assert rows == [
        {
            "file": "a", "row": 3, "column": "size", "found": "inf", "allowed": "a finite number",
            "version": 2, "scored_at": NOW,
        }
    ]  # fmt: skip
