"""Encodings fit their columns; a configuration without new keys keeps its hash."""

import pytest
from pydantic import ValidationError

from sluice.config.data import DataConfig
from sluice.config.loading import dump_service, list_services, load_service
from sluice.config.service import ServiceConfig

COLUMNS = {"id": "integer", "hired": "timestamp", "note": "text", "size": "number", "y": "integer"}


def describe(**encodings: str) -> DataConfig:
    features = [name for name in COLUMNS if name not in ("id", "y")]
    values = {"id": "id", "target": "y", "suite": "none", "columns": COLUMNS}
    return DataConfig.model_validate({**values, "features": features, "encodings": encodings})


def test_a_feature_without_an_entry_is_encoded_as_usual_for_its_kind() -> None:
    data = describe(note="text")
    assert [data.encoding_of(name) for name in data.features] == ["seconds", "text", None]


@pytest.mark.parametrize(
    ("encodings", "words"),
    [
        ({"y": "target"}, "'y' is no feature; allowed: hired, note, size"),
        ({"size": "date"}, "found `date` for 'size', which is number; allowed: no encoding"),
        ({"hired": "target"}, "which is timestamp; allowed: seconds, date, calendar"),
        ({"note": "seconds"}, "which is text; allowed: category, target, text, ngrams, date"),
        ({"note": "onehot"}, "Input should be 'category', 'target', 'text'"),
    ],
)
def test_an_encoding_that_does_not_fit_is_refused(encodings: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        describe(**encodings)


@pytest.mark.parametrize("kind", ["random_forest", "hist_gradient_boosting"])
def test_ngrams_are_for_linear_models(kind: str) -> None:
    values = load_service("injection", "development").model_dump(mode="json")
    values["model"] = {"kind": kind}
    with pytest.raises(ValidationError, match=f"found `ngrams` with model.kind `{kind}`, which"):
        ServiceConfig.model_validate(values)


def test_committed_services_keep_the_hash_that_they_had_before_encodings() -> None:
    """The hash is that of the dump: a key that is not in it cannot have changed the hash."""
    older = [name for name in list_services() if name != "injection"]
    dumps = [dump_service(load_service(name, "development")) for name in older]
    assert not any("encodings:" in text or "target_transform:" in text for text in dumps)


def test_an_encoding_is_part_of_the_resolved_configuration() -> None:
    assert describe(note="text").model_dump(mode="json")["encodings"] == {"note": "text"}
    assert "encodings" not in describe().model_dump(mode="json")
