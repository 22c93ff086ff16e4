"""The data of a service: its source, its columns and its split."""

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer, field_validator, model_validator

from sluice.config.evaluation import check_recent
from sluice.config.policy import Duration
from sluice.config.reading import ReadingConfig
from sluice.config.yaml_file import KeyInvalid, Section

ColumnKind = Literal["integer", "number", "text", "boolean", "timestamp"]
Encoding = Literal["category", "target", "text", "ngrams", "seconds", "date", "calendar"]
ENCODINGS: dict[ColumnKind, tuple[Encoding, ...]] = {
    "text": ("category", "target", "text", "ngrams", "date", "calendar"),
    "timestamp": ("seconds", "date", "calendar"),
}
"""The encodings that a kind of column may have, its default first; the other kinds have one only,
the number itself."""
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


TEN_YEARS = 10 * 366 * 86_400


def write_seconds(seconds: float) -> str:
    """Return a duration as `read_duration` reads it."""
    return f"{seconds:f}".rstrip("0").rstrip(".") + " s"


Maturity = Annotated[Duration, Field(ge=0, le=TEN_YEARS), PlainSerializer(write_seconds)]


class TrafficSource(Section):
    """The service's own labelled traffic: answers of the gateway joined with their feedback."""

    kind: Literal["traffic"]
    maturity: Maturity
    """How long after an answer its label can still change, such as `7 d`; until then it waits."""
    labels: Literal["all", "selective"] = "all"
    """`selective`: labels exist only for what the model chose, such as granted loans."""
    id: Literal["inputs", "request"] = "inputs"
    """Where a row's `data.id` comes from: the caller's inputs, or the request's own id."""
    time: Literal["inputs", "answer"] = "inputs"
    """Where a row's `data.time` comes from: the caller's inputs, or when it was answered."""
    batch_rows: int = Field(1000, ge=1)
    """Fewest new labelled requests that `watch` takes; by hand `ingest` takes any number."""


SourceConfig = Annotated[
    FilesSource | DeltaSource | SqlSource | TrafficSource, Field(discriminator="kind")
]


def _check_absolute(path: str) -> str:
    # A deployed run works in a temporary folder, where a relative path does not exist.
    if not PurePath(path).is_absolute():
        raise ValueError(f"found '{path}', allowed: an absolute path")
    return path


def _is_empty(values: Mapping[str, str]) -> bool:
    # Left out of the resolved configuration, so that older files keep their hash.
    return not values


class Leakage(Section):
    """When a single feature predicts the target so well that it must be a leak."""

    limit: float = Field(0.9, gt=0.5, le=1.0)
    """Highest predictive power of one feature alone, .5 to 1: area under the ROC curve,
    (1 + R2) / 2 for regression, (1 + tau) / 2 for several classes."""
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
    encodings: dict[str, Encoding] = Field(default_factory=dict, exclude_if=_is_empty)
    """How a feature becomes numbers, where not as usual for its kind. Text: `category` (default),
    `target` (many values: the target's mean by value), `text` (a few numbers from its words),
    `ngrams` (a column for each run of 2 to 5 letters: linear models only) or,
    where it holds ISO dates, `date` or `calendar`. Timestamp: `seconds` (default), `date` (calendar
    and age) or `calendar` (only what comes back: month, day, weekday, hour)."""
    suite: str
    """Name of the expectation suite in `gx/expectations`."""
    minimum_rows: int = Field(500, ge=50)
    """Fewest rows with which a release starts."""
    leakage: Leakage = Leakage()
    reading: ReadingConfig = Field(
        ReadingConfig(), exclude_if=lambda value: value == ReadingConfig()
    )
    """How files and cells are read; the default is no part of a service's fingerprint."""
    on_bad_rows: Literal["refuse_batch", "quarantine_rows"] = Field(
        "refuse_batch", exclude_if=lambda value: value == "refuse_batch"
    )
    """Of a batch with rows that break a rule: refuse it whole, or quarantine these rows only."""

    @model_validator(mode="after")
    def _columns_are_known(self) -> "DataConfig":
        named = {"id": self.id, "target": self.target, **({"time": self.time} if self.time else {})}
        named |= {f"reading.columns.{name}": name for name in self.reading.columns}
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

    @model_validator(mode="after")
    def _encodings_fit_their_columns(self) -> "DataConfig":
        for column, encoding in self.encodings.items():
            key = f"encodings.{column}"
            if column not in self.features:
                allowed = ", ".join(self.features)
                raise KeyInvalid(key, f"'{column}' is no feature; allowed: {allowed}")
            kind = self.columns[column]
            allowed = ", ".join(ENCODINGS.get(kind, ()))
            if encoding not in ENCODINGS.get(kind, ()):
                raise KeyInvalid(
                    key,
                    f"found `{encoding}` for '{column}', which is {kind}; "
                    f"allowed: {allowed or 'no encoding: leave it out'}",
                )
        return self

    def encoding_of(self, feature: str) -> Encoding | None:
        """Return how a feature becomes numbers; None where its number is taken as it is."""
        usual = ENCODINGS.get(self.columns[feature])
        return self.encodings.get(feature, usual[0]) if usual else None


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
    folds: int = Field(0, ge=0, le=20)
    """Folds of a cross-validation, in which every row is evaluated and `holdout` has no effect (for
    fewer than about 2,000 rows); 0: one share is held out."""

    recent: str | int = Field("", exclude_if=lambda value: value == "")
    """The newest training rows, from which alone the model learns: those of a time before the
    data's newest row (`365 d`; units h, d, w), or so many rows (`50000`; rows of one time stay
    together). After a change of concept the older ones would outvote them. Empty: all training
    rows. Needs `data.time`."""

    @field_validator("recent", mode="before")
    @classmethod
    def _recent_is_a_time_or_a_number(cls, value: Any) -> Any:
        return check_recent(value)

    @model_validator(mode="after")
    def _folds_take_all_rows(self) -> "SplitConfig":
        if self.folds and self.recent:
            raise KeyInvalid(
                "recent",
                f"found `{self.recent}` with {self.folds} folds, which train on every row; "
                "allowed: one of both",
            )
        return self

    @field_validator("folds")
    @classmethod
    def _one_fold_is_none(cls, folds: int) -> int:
        if folds == 1:
            raise ValueError("found 1, allowed: 0 (a share is held out), or 2 to 20")
        return folds
