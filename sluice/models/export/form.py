"""Which form of a version serves, by rules that gateway and batch prediction share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from sluice.config.data import DataConfig
from sluice.config.model import Problem
from sluice.documents import parse_yaml
from sluice.errors import ModelDamaged, Refused

Form = Literal["onnx", "sklearn"]
"""The ONNX export, or the native model."""
FORM = "sluice.serving.form"
"""Tag of a version: the form that the parity gate chose."""
UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, RecursionError)
"""What reading a text raises that is not what was written."""
M = TypeVar("M")


@dataclass(frozen=True)
class VersionFacts:
    """What the release of a version configured: columns, problem, estimator; and its form."""

    data: DataConfig
    problem: Problem
    kind: str
    form: Form


def read_facts(name: str, tags: Mapping[str, str], config: str, has_export: bool) -> VersionFacts:
    """Return the facts of a version, from its tags and the text of its release's configuration.

    `name` is the version in messages. `has_export` says whether the registry has its ONNX export,
    for versions without the tag.

    Raises:
        ModelDamaged: the text is not the configuration of a service.
    """
    try:
        values = parse_yaml(config)
        data = DataConfig.model_validate(values["data"])
        kind, problem = values["model"]["kind"], values["problem"]
    except UNREADABLE as error:
        raise ModelDamaged(
            f"{name}: config.yaml of its run is not the configuration of a service"
        ) from error
    form = tags.get(FORM, "onnx" if has_export else "sklearn")
    return VersionFacts(data, problem, kind, "onnx" if form == "onnx" else "sklearn")


def choose_form(
    form: Form, has_export: bool, load_onnx: Callable[[], M], load_native: Callable[[], M]
) -> tuple[M, str]:
    """Return the form that serves, and why it is the native model; empty where it is the export.

    Both loaders refuse a form whose answers to the sample differ from those of the evaluation.

    Raises:
        Refused: neither of them can be loaded and agrees.
        Fault: a file cannot be read at present.
    """
    reason = "" if form == "onnx" else "the parity gate chose the native model"
    if not reason and not has_export:
        reason = "the registry has no ONNX export of it"
    if not reason:
        try:
            return load_onnx(), ""
        except Refused as error:
            reason = str(error)
    return load_native(), reason
