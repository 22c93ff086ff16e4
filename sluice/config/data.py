"""The data of a service: its source, its columns and its split."""

import re
from pathlib import PurePath
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from sluice.config.yaml_file import KeyInvalid, Section

ColumnKind = Literal["integer", "number", "text", "boolean", "timestamp"]
SINCE = "since"
"""Name of the bind parameter that takes the last watermark value seen."""
BIND = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")  # SQLAlchemy's own rule for a bind parameter


class FilesSource(Section):
    """A file, a folder or a pattern of files; each new file is one batch."""

    kind: Literal["files"]
    path: str
    """Absolute path; a folder stands for its Parquet and CSV files, and `*` for any name."""

    @field_validator("path")
    @classmethod
    def _path_is_absolute(cls, path: str) -> str:
        return _check_absolute(path)


class DeltaSource(Section):
    """A Delta table that another system writes."""

    kind: Literal["delta"]
    uri: str
    """Absolute folder, or a URL that deltalake accepts, such as `s3://bucket/table`."""
    version: int = Field(-1, ge=-1)
    """Version to read; -1: always the newest."""

    @field_validator("uri")
    @classmethod
    def _folder_is_absolute(cls, uri: str) -> str:
        return uri if "://" in uri else _check_absolute(uri)


class SqlSource(Section):
    """A query to a database; the URL is in the environment and in no file."""

    kind: Literal["sql"]
    url_variable: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")
    """Name of the environment variable that holds the SQLAlchemy URL."""
    query: str = Field(min_length=1)
    """A SELECT whose columns are the service's; `:since` is the last watermark value seen."""
    watermark: str = ""
    """Column of the result that only grows; empty reads the whole result each time."""

    @property
    def uses_since(self) -> bool:
        """Whether the query reads only what is newer than the last watermark."""
        return SINCE in BIND.findall(self.query)

    @model_validator(mode="after")
    def _binds_are_known(self) -> "SqlSource":
        unknown = sorted(set(BIND.findall(self.query)) - {SINCE})
        if unknown:
            raise KeyInvalid(
                "query",
                f"found bind parameter `:{unknown[0]}`, allowed: `:{SINCE}`; "
                r"a colon of the text is written \:, a cast CAST(... AS type)",
            )
        if self.uses_since and not self.watermark:
            raise KeyInvalid("query", f"`:{SINCE}` needs `watermark`: a column of the result")
        return self


SourceConfig = Annotated[FilesSource | DeltaSource | SqlSource, Field(discriminator="kind")]


def _check_absolute(path: str) -> str:
    # A deployed run works in a temporary folder, where a relative path does not exist.
    if not PurePath(path).is_absolute():
        raise ValueError(f"found '{path}', allowed: an absolute path")
    return path


class Leakage(Section):
    """When a single feature predicts the target so well that it must be a leak."""

    limit: float = Field(0.9, gt=0.5, le=1.0)
    """Highest predictive power of one feature alone: area under the ROC curve, .5 to 1 (the best
    class against the rest for multiclass; (1 + R2) / 2 for regression)."""
    allowed: tuple[str, ...] = ()
    """Features that may exceed the limit, because a person checked them."""


class DataConfig(Section):
    """The columns of the service's table and the rules that its data must keep."""

    id: str
    """Column that names a row and never changes; the split depends on it."""
    time: str = ""
    """Column that orders the rows in time; empty when there is none."""
    target: str
    """Column to predict."""
    positive: str | int | bool = 1
    """The target's value that counts as positive (binary problems)."""
    columns: dict[str, ColumnKind]
    """Every column and its kind; a file with other columns, or without one, is refused."""
    features: tuple[str, ...] = Field(min_length=1)
    """The columns that the model uses."""
    suite: str
    """Name of the expectation suite in `gx/expectations`."""
    minimum_rows: int = Field(500, ge=50)
    """Fewest rows with which a release starts."""
    leakage: Leakage = Leakage()

    @model_validator(mode="after")
    def _columns_are_known(self) -> "DataConfig":
        named = {"id": self.id, "target": self.target, **({"time": self.time} if self.time else {})}
        named |= {f"features.{index}": name for index, name in enumerate(self.features)}
        for key, column in named.items():
            if column not in self.columns:
                allowed = ", ".join(self.columns)
                raise KeyInvalid(key, f"no column '{column}'; allowed: {allowed}")
        if self.target in self.features or self.id in self.features:
            raise KeyInvalid("features", "the target and the id cannot be features")
        if len(set(self.features)) < len(self.features):
            raise KeyInvalid("features", "a column is listed twice")
        return self


class SplitConfig(Section):
    """The split into training and held-out rows; rows, seed and share determine it."""

    by: Literal["hash", "time"] = "hash"
    """`hash`: by the row's id (or group); `time`: the newest rows are held out."""
    holdout: float = Field(0.3, gt=0.0, lt=0.9)
    """Share of the rows that no model trains on."""
    seed: int = Field(0, ge=0)
    """Seed of the hash."""
    group: str = ""
    """Column whose rows stay together (a household, a customer); empty: each row alone."""
