"""The smoke test of a candidate: answers to fixed records, equal to those of its evaluation."""

import asyncio
import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serving.http.pages import smoke_candidate
from serving.models.cache import CacheEntry, ModelCache
from serving.models.loading import load_cached
from serving.models.predictors import BackendName, LoadedModel, ModelPredictor
from serving.models.signature import Record
from serving.routing.calls import CandidatePool
from serving.routing.model_table import RouteState, ServiceEntry
from sluice.stats.holdout import Predictions
from support.gateway.faulty import Fault, write_faulty
from support.gateway.models import describe_model
from support.gateway.towns import DATA, Towns


@pytest.fixture
def model(models: ModelCache, kept: CacheEntry) -> LoadedModel:
    return load_cached(models, kept)


def smoke(model: LoadedModel) -> dict[str, Any]:
    predictor = ModelPredictor(model, inline=False)
    pool = CandidatePool(predictor, 8, 1000.0, shares_records=True)
    reply = asyncio.run(smoke_candidate(ServiceEntry("towns", RouteState(), pool=pool)))
    assert reply.status == 200
    return dict(json.loads(reply.body))


def test_a_model_that_answers_as_it_did_passes(model: LoadedModel) -> None:
    result = smoke(model)
    expected = {"service": "towns", "version": 1, "rows": 64, "passed": True, "reason": ""}
    assert result == {**expected, "identity": ""}


@pytest.mark.parametrize(
    ("fault", "reason"), [("nan", "found a known class"), ("error", "the graph failed")]
)
def test_a_model_that_went_bad_fails(
    models: ModelCache, model: LoadedModel, towns: Towns, tmp_path: Path, fault: Fault, reason: str
) -> None:
    files = write_faulty(towns.folder, tmp_path / "m", fault)
    bad = load_cached(models, models.keep(describe_model(DATA, "binary", 2), files))
    result = smoke(replace(model, backend=bad.backend))
    assert result["passed"] is False
    assert result["reason"].startswith(reason)


def test_a_model_that_hangs_fails_in_bounded_time(model: LoadedModel) -> None:
    ended = threading.Event()

    class Waiting:
        name: BackendName = "onnx"

        def answer(self, records: Sequence[Record]) -> Predictions:
            ended.wait()
            return model.backend.answer(records)

    try:
        result = smoke(replace(model, backend=Waiting()))
    finally:
        ended.set()
    assert result["passed"] is False
    assert result["reason"] == "no answer within 2 s"


def test_a_model_with_other_answers_fails(model: LoadedModel) -> None:
    assert model.parity_check is not None
    labels = model.parity_check.expected.labels[::-1].copy()
    other = replace(
        model.parity_check, expected=replace(model.parity_check.expected, labels=labels)
    )
    result = smoke(replace(model, parity_check=other))
    assert result["passed"] is False
    assert "labels flip" in result["reason"]


def test_without_records_nothing_is_tested(model: LoadedModel) -> None:
    result = smoke(replace(model, parity_check=None))
    assert (result["passed"], result["rows"]) == (False, 0)
    assert result["reason"] == "the registry has no records to check it on"


def test_without_a_candidate_there_is_nothing_to_test() -> None:
    reply = asyncio.run(
        smoke_candidate(ServiceEntry("towns", RouteState(), missing="v2 is not fetched yet"))
    )
    assert reply.status == 409
    assert b"v2 is not fetched yet" in reply.body
