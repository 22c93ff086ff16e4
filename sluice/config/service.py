"""The configuration of one service: everything that decides its releases."""

from typing import Literal

from pydantic import Field, model_validator

from sluice.config.bias import BiasConfig
from sluice.config.data import DataConfig, SourceConfig, SplitConfig
from sluice.config.evaluation import EvaluationConfig
from sluice.config.model import ModelConfig, Problem
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
