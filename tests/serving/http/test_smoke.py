"""The smoke test of a candidate: fixed records, answered now as when it was judged."""

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
from serving.models.predictors import FormName, LoadedModel, ModelPredictor
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
    lane = CandidatePool(ModelPredictor(model, inline=False), 8, 1000.0, shares=True)
    reply = asyncio.run(smoke_candidate(ServiceEntry("towns", RouteState(), lane=lane)))
    assert reply.status == 200
    return dict(json.loads(reply.body))


def test_a_model_that_answers_as_it_did_passes(model: LoadedModel) -> None:
    told = smoke(model)
    assert told == {"service": "towns", "version": 1, "rows": 64, "passed": True, "why": ""}


@pytest.mark.parametrize(
    ("fault", "why"), [("nan", "found a known class"), ("error", "the graph failed")]
)
def test_a_model_that_went_bad_fails(
    models: ModelCache, model: LoadedModel, towns: Towns, tmp_path: Path, fault: Fault, why: str
) -> None:
    files = write_faulty(towns.folder, tmp_path / "m", fault)
    bad = load_cached(models, models.keep(describe_model(DATA, "binary", 2), files))
    told = smoke(replace(model, form=bad.form))
    assert told["passed"] is False
    assert told["why"].startswith(why)


def test_a_model_that_hangs_fails_in_bounded_time(model: LoadedModel) -> None:
    ended = threading.Event()

    class Waiting:
        name: FormName = "onnx"

        def answer(self, records: Sequence[Record]) -> Predictions:
            ended.wait()
            return model.form.answer(records)

    try:
        told = smoke(replace(model, form=Waiting()))
    finally:
        ended.set()
    assert told["passed"] is False
    assert told["why"] == "no answer within 2 s"


def test_a_model_that_answers_otherwise_fails(model: LoadedModel) -> None:
    assert model.proof is not None
    labels = model.proof.expected.labels[::-1].copy()
    other = replace(model.proof, expected=replace(model.proof.expected, labels=labels))
    told = smoke(replace(model, proof=other))
    assert told["passed"] is False
    assert "labels flip" in told["why"]


def test_without_records_nothing_is_proved(model: LoadedModel) -> None:
    told = smoke(replace(model, proof=None))
    assert (told["passed"], told["rows"]) == (False, 0)
    assert told["why"] == "the registry has no records to prove it on"


def test_without_a_candidate_there_is_nothing_to_ask() -> None:
    reply = asyncio.run(
        smoke_candidate(ServiceEntry("towns", RouteState(), missing="v2 is not fetched yet"))
    )
    assert reply.status == 409
    assert b"v2 is not fetched yet" in reply.body
