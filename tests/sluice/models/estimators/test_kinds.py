from typing import get_args

from sluice.config.model import ModelConfig
from sluice.models.estimators.kinds import KINDS, build_pipeline


def test_every_configurable_kind_has_a_builder() -> None:
    options = get_args(get_args(ModelConfig)[0])
    named = {get_args(option.model_fields["kind"].annotation)[0] for option in options}
    assert named == set(KINDS)


def test_a_pipeline_takes_raw_columns(case, model) -> None:
    one = case("multiclass")
    pipeline = build_pipeline("multiclass", model("linear"), one.data)
    X = one.frame[list(one.data.features)]
    assert pipeline.fit(X, one.y).score(X, one.y) > 0.95
