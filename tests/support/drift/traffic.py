"""Traffic of the default service: census rows with the answers of its champion."""

import json
from datetime import datetime
from typing import Any

import pandas as pd

from serving.log.records import Answer
from sluice.adapters.registry.client import open_registry
from sluice.config.service import ServiceConfig
from sluice.home import SAMPLES, Home
from sluice.models.prediction import predict
from support.gateway.records import make_answer
from support.labelled import log_records

YEAR = "acs_employment_2016.parquet"


def read_people(config: ServiceConfig, older_than: int = 0) -> pd.DataFrame:
    """Return people of the census of 2016, of an age and above."""
    rows = pd.read_parquet(SAMPLES / YEAR)
    return rows[rows["age"] >= older_than].reset_index(drop=True)


def answer_people(
    home: Home, config: ServiceConfig, people: pd.DataFrame, start: datetime, seconds: float
) -> list[Answer]:
    """Return the champion's answers to people, spread evenly over some seconds from a start."""
    version = open_registry(home).find_alias(config.service, "champion")
    assert version is not None
    found = predict(open_registry(home).load_model(version), people, config.data, config.problem)
    assert found.scores is not None
    records = json.loads(people[list(config.data.features)].to_json(orient="records"))
    step, begin = seconds / len(people), start.timestamp()
    return [
        make_answer(
            place,
            request_id=f"{start:%d-%H}-{place}",
            service=config.service,
            version=version.version,
            arm_version=version.version,
            at=begin + step * place,
            inputs=json.dumps(record).encode(),
            outputs=_write_output(config, label, score),
        )
        for place, (record, label, score) in enumerate(
            zip(records, found.labels.tolist(), found.scores.tolist(), strict=True)
        )
    ]


def log_people(
    home: Home, config: ServiceConfig, people: pd.DataFrame, start: datetime, hours: float = 1.0
) -> list[Answer]:
    """Log the champion's answers to people, over some hours from a start."""
    answers = answer_people(home, config, people, start, 3600.0 * hours)
    log_records(home, *answers)
    return answers


def _write_output(config: ServiceConfig, label: Any, score: float) -> bytes:
    names = {"1": score, "0": 1.0 - score}
    return json.dumps({"prediction": label, "probabilities": names}).encode()
