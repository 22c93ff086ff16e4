"""What callers ask and say reaches the log such that performance can be measured on it."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from serving.log.log_writer import LogShipper
from serving.models.cache import CacheEntry, ModelCache
from sluice.adapters.traffic.labelled import LabelPosition, LabelSource, read_labelled
from sluice.config.serving import TrafficLogConfig
from sluice.drift.performance.labelled import AnswerForm, decode_answers
from sluice.home import Home
from sluice.models.prediction import predict
from support.gateway.application import run_application
from support.gateway.towns import DATA, Towns

FORM = AnswerForm("binary", "y", {**DATA.columns, "sex": "text"}, ("no", "yes"), "yes")
RECORDS: list[dict[str, Any]] = [
    {"size": 1.5, "town": "bute", "here": True, "sex": "female"},
    {"size": None, "town": None, "here": False},
    {"size": -2.0, "town": "ayr", "here": None, "sex": "male"},
]
LABELS = ["yes", "no", "no"]


def test_answers_are_measured_as_the_gateway_gave_them(
    tmp_path: Path, models: ModelCache, kept: CacheEntry, towns: Towns
) -> None:
    home = Home(tmp_path / "state")

    async def call() -> None:
        async with run_application(home.serving, models, kept) as gateway:

            async def post(path: str, **body: Any) -> None:
                status, reply = await gateway.ask(path, json.dumps(body).encode())
                assert status in (200, 202), reply

            predict_path = "/v1/models/towns:predict"
            for place, (record, label) in enumerate(zip(RECORDS, LABELS, strict=True)):
                await post(predict_path, inputs=record, request_id=f"r{place}")
                await post("/v1/feedback", request_id=f"r{place}", label=label)
            await post(predict_path, inputs=RECORDS, request_id="many")
            await post("/v1/feedback", request_id="many", label="yes")
            await post("/v1/feedback", request_id="nobody", label="yes", service="towns")

    asyncio.run(call())
    LogShipper(home, TrafficLogConfig()).ship(time.time(), all_of_it=True)
    source = LabelSource("towns", home.answers("towns"), home.feedback)
    until = datetime.now(UTC) + timedelta(minutes=1)
    [chunk] = read_labelled(source, LabelPosition(), until)
    rows, skipped = decode_answers(FORM, chunk.table.to_pylist())

    assert rows.request_ids == ("r0", "r1", "r2")
    assert rows.y.tolist() == LABELS
    frame = pd.DataFrame(RECORDS).astype({"here": object})
    expected = predict(towns.pipeline, frame, DATA, "binary")
    assert expected.scores is not None
    assert rows.predictions.scores is not None
    np.testing.assert_allclose(rows.predictions.scores, expected.scores, atol=1e-5)
    assert rows.predictions.labels.tolist() == expected.labels.tolist()
    assert rows.frame["sex"].tolist() == ["female", None, "male"]
    assert skipped.counts == {"the request had several records and has one label": 1}
    assert chunk.unknown == ("nobody",)
