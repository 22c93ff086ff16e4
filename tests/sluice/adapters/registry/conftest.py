"""A real registry per module, and a small model to register in it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from sluice.adapters.registry.client import ModelVersionRef, Registry, open_registry
from sluice.home import Home
from support.releases.verdicts import VERDICTS

PASSED = {**VERDICTS, "sluice.data.version": "4"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield Home(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def registry(home: Home) -> Registry:
    found = open_registry(home)
    found.prepare()
    return found


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    ages = np.arange(400) % 70
    return pd.DataFrame({"age": ages, "town": np.where(ages % 3, "a", "b"), "here": ages % 2 == 0})


@pytest.fixture(scope="module")
def pipeline(rows: pd.DataFrame) -> Pipeline:
    encoder = OneHotEncoder(sparse_output=False, handle_unknown="ignore")
    columns = make_column_transformer((encoder, ["town"]), remainder="passthrough")
    model = HistGradientBoostingClassifier(max_iter=5, random_state=0)
    return make_pipeline(columns, model).fit(rows, rows["age"] > 30)


@pytest.fixture
def service(request: pytest.FixtureRequest) -> str:
    """A service of the test's own, so that one database serves all tests."""
    return request.node.name.split("[")[0].replace("_", "-")[:40]


@pytest.fixture
def register(registry: Registry, pipeline: Pipeline, rows: pd.DataFrame, service: str) -> Any:
    def run(run_id: str = "", tags: dict[str, str] = PASSED, **options: Any) -> ModelVersionRef:
        run_id = run_id or registry.start_run(service, "a release", {})
        example = rows.head(3)
        answers = pipeline.predict(example)
        return registry.register_model(
            run_id, service, pipeline, example, answers, tags, "a card", **options
        )

    return run
