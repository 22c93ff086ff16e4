"""A model version in the registry, and the folder that MLflow keeps for it."""

import importlib.metadata
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluice.control.admission import find_objection
from sluice.control.approval import ANSWER
from sluice.errors import PromotionRefused

if TYPE_CHECKING:
    import pandas as pd

FLOW_RUN = "prefect.flow_run_id"
REGISTERED, ORPHANED = "sluice.registered", "sluice.orphaned"
"""Tags of a version: the alias at its registration; its run lost the lease before that."""
DESCRIPTION_LENGTH = 5000
"""Longest description of a version: the limit of MLflow's schema, which Postgres enforces."""
CUT = "\n\nTruncated; the full text is among the run's files.\n"
REQUIREMENTS = ("mlflow", "numpy", "pandas", "scikit-learn", "scipy", "skops")


@dataclass(frozen=True)
class ModelVersionRef:
    """A reference to one registered version of a service, to name, load and trace it.

    `uri` is the registry's address of it (`models:/employment/3`). `tags` and `aliases` are those
    that it had when it was read.
    """

    service: str
    version: int
    run_id: str
    tags: Mapping[str, str]
    uri: str
    aliases: tuple[str, ...] = field(default=())

    @property
    def data_version(self) -> int:
        """The version of the service's data that it was trained on.

        Raises:
            KeyError: another program registered it, without our tags.
        """
        return int(self.tags["sluice.data.version"])

    def find_data_version(self) -> int | None:
        """Return the version of the data that it was trained on; None where no tag says it."""
        text = self.tags.get("sluice.data.version", "")
        return int(text) if text.isdecimal() else None


def read_version(found: Any) -> ModelVersionRef:
    """Return a reference of MLflow's record of a model version."""
    return ModelVersionRef(
        service=found.name,
        version=int(found.version),
        run_id=found.run_id or "",
        tags=dict(found.tags),
        uri=f"models:/{found.name}/{found.version}",
        aliases=tuple(found.aliases),
    )


def fit_description(text: str) -> str:
    """Return a description that fits: a longer one is truncated after a whole line."""
    if len(text) <= DESCRIPTION_LENGTH:
        return text
    kept = text[: DESCRIPTION_LENGTH - len(CUT)]
    return (kept.rpartition("\n")[0] or kept).rstrip() + CUT


def write_model(
    folder: Path, record: Any, pipeline: Any, example: "pd.DataFrame", predictions: Any
) -> None:
    """Write a pipeline as an MLflow model: skops, signature, example, pinned requirements.

    MLflow infers nothing by importing or running code, which would take ten times as long.

    Raises:
        MlflowException: the pipeline holds a type that is not trusted.
    """
    from mlflow import sklearn as mlflow_sklearn
    from mlflow.models import Model, infer_signature

    from sluice.adapters.registry.model_files import TRUSTED_TYPES

    with warnings.catch_warnings():
        # MLflow warns of integer columns, and uses functions that pandas 3 deprecates.
        warnings.simplefilter("ignore")
        mlflow_sklearn.save_model(
            pipeline,
            str(folder),
            mlflow_model=Model(
                artifact_path=record.artifact_location,
                run_id=record.source_run_id,
                model_id=record.model_id,
                model_uuid=record.model_id,
            ),
            serialization_format="skops",
            skops_trusted_types=list(TRUSTED_TYPES),
            signature=infer_signature(example, predictions),
            input_example=example,
            pip_requirements=_pin_requirements(),
        )


def _pin_requirements() -> list[str]:
    return [f"{name}=={importlib.metadata.version(name)}" for name in REQUIREMENTS]


def check_verdicts(version: ModelVersionRef) -> None:
    """Check by its tags alone that every gate passed a version, and that it waits for nobody.

    Whether a person approved it, or made an exception, the control store knows: see `Admissions`.

    Raises:
        PromotionRefused: a verdict is missing or not `pass`, or an approval is missing.
    """
    answer = version.tags.get(ANSWER, "")
    if objection := find_objection(version.service, version.version, version.tags, answer):
        raise PromotionRefused(objection)
