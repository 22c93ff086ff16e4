"""The configuration of one service: everything that decides its releases."""

from typing import Literal

from pydantic import Field, model_validator

from sluice.config.bias import BiasConfig
from sluice.config.data import DataConfig, SourceConfig, SplitConfig, TrafficSource
from sluice.config.evaluation import EvaluationConfig, read_span
from sluice.config.model import ModelConfig, Problem
from sluice.config.monitoring.drift import DriftConfig
from sluice.config.monitoring.performance import PerformanceConfig
from sluice.config.monitoring.retraining import RetrainConfig
from sluice.config.monitoring.rules import MonitoringConfig
from sluice.config.rollout import RolloutConfig
from sluice.config.serving import Serving
from sluice.config.yaml_file import KeyInvalid, Section


class CodeConfig(Section):
    """Requirements on the code of a release."""

    uncommitted: Literal["allow", "refuse"] = "allow"
    """Whether a release may run from a tree with uncommitted changes."""


class ServiceConfig(Section):
    """Everything that decides a service's releases."""

    service: str = Field(pattern=r"^[a-z][a-z0-9-]{1,40}$")
    """Lower-case name; the file has the same name."""
    description: str
    """One sentence: what it predicts, and for whom."""
    problem: Problem
    data: DataConfig
    source: SourceConfig | None = None
    """Where new rows come from; without it, `ingest` needs a file."""
    split: SplitConfig = SplitConfig()
    model: ModelConfig
    evaluation: EvaluationConfig
    bias: BiasConfig
    serving: Serving = "auto"
    """Backend that serves the model: `onnx`, `sklearn`, or `auto`: ONNX where proved equal."""
    approve: bool = False
    """Whether every version that passed its gates waits for a person's approval."""
    approval_hours: int = Field(72, ge=1, le=8760)
    """Hours in which a person can decide; without a decision in time the version is refused."""
    rollout: RolloutConfig = RolloutConfig()
    performance: PerformanceConfig = PerformanceConfig()
    """How live performance is judged."""
    drift: DriftConfig = DriftConfig()
    """How live traffic is compared with a reference."""
    monitoring: MonitoringConfig = MonitoringConfig()
    """Its own figures and changes of the rules in `configs/monitoring/rules.yaml`."""
    retrain: RetrainConfig = RetrainConfig()
    code: CodeConfig = CodeConfig()

    @model_validator(mode="after")
    def _named_columns_exist(self) -> "ServiceConfig":
        named = {
            "split.group": [self.split.group],
            "evaluation.group": [self.evaluation.group],
            "evaluation.slices.columns": list(self.evaluation.slices.columns),
            "bias.sensitive": list(self.bias.columns),
        }
        for key, columns in named.items():
            for column in filter(None, columns):
                if column not in self.data.columns:
                    allowed = ", ".join(self.data.columns)
                    raise KeyInvalid(key, f"no column '{column}'; allowed: {allowed}")
        if self.split.by == "time" and not self.data.time:
            raise KeyInvalid("split.by", "found `time`, but data.time names no column")
        return self

    @model_validator(mode="after")
    def _encodings_fit_the_model(self) -> "ServiceConfig":
        ngrams = [name for name, kind in self.data.encodings.items() if kind == "ngrams"]
        if ngrams and self.model.kind != "linear":
            raise KeyInvalid(
                f"data.encodings.{ngrams[0]}",
                f"found `ngrams` with model.kind `{self.model.kind}`, which cannot learn from "
                "thousands of columns; allowed: model.kind `linear`, or the encoding `text`",
            )
        return self

    @model_validator(mode="after")
    def _traffic_fits_its_columns(self) -> "ServiceConfig":
        source, data = self.source, self.data
        if not isinstance(source, TrafficSource):
            return self
        kind = data.columns[data.id]
        if source.id == "request" and kind != "text":
            raise KeyInvalid(
                "source.id",
                f"found `request`, which is a text, but '{data.id}' (data.id) is {kind}; allowed: "
                "`inputs`: callers send it beside the features",
            )
        if source.time == "answer" and (not data.time or data.columns[data.time] != "timestamp"):
            found = f"'{data.time}' (data.time) is {data.columns[data.time]}" if data.time else ""
            raise KeyInvalid(
                "source.time",
                f"found `answer`, which is a timestamp, but {found or 'data.time names no column'}"
                "; allowed: `inputs`",
            )
        return self

    @model_validator(mode="after")
    def _recent_rows_have_a_time(self) -> "ServiceConfig":
        time = self.data.time
        named = {"evaluation.recent": self.evaluation.recent, "split.recent": self.split.recent}
        for key, recent in named.items():
            if recent and not time:
                raise KeyInvalid(
                    key,
                    f"found `{recent}`, but data.time names no column: it is unknown which rows "
                    f"are new; name it, or leave {key} out",
                )
            if read_span(recent) and self.data.columns[time] != "timestamp":
                raise KeyInvalid(
                    key,
                    f"found `{recent}`, but '{time}' (data.time) is {self.data.columns[time]}; "
                    "allowed: a number of rows such as 3000, or a time with a column of timestamps",
                )
        return self
