"""Where a service's rows come from: files that arrive, a Delta table, or a SQL query."""

import re
from pathlib import PurePath
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from sluice.config.section import KeyInvalid, Section

SINCE = "since"
"""Name of the bind parameter that takes the last watermark value seen."""
BIND = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")  # what SQLAlchemy takes for a bind parameter


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
    """A Delta table that somebody else writes."""

    kind: Literal["delta"]
    uri: str
    """Absolute folder, or a URL that deltalake takes, such as `s3://bucket/table`."""
    version: int = Field(-1, ge=-1)
    """Version to stay at; -1 follows the newest."""

    @field_validator("uri")
    @classmethod
    def _folder_is_absolute(cls, uri: str) -> str:
        return uri if "://" in uri else _check_absolute(uri)


class SqlSource(Section):
    """A query to a database, whose URL stands in the environment and in no file."""

    kind: Literal["sql"]
    url_variable: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")
    """Name of the environment variable that holds the SQLAlchemy URL."""
    query: str = Field(min_length=1)
    """A SELECT whose columns are the service's; `:since` takes the last watermark seen."""
    watermark: str = ""
    """Column of the result that only grows; empty reads the whole result each time."""

    @property
    def asks_since(self) -> bool:
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
        if self.asks_since and not self.watermark:
            raise KeyInvalid("query", f"`:{SINCE}` needs `watermark`: a column of the result")
        return self


SourceConfig = Annotated[FilesSource | DeltaSource | SqlSource, Field(discriminator="kind")]


def _check_absolute(path: str) -> str:
    # A deployed run works in a temporary folder, where a relative path leads nowhere.
    if not PurePath(path).is_absolute():
        raise ValueError(f"found '{path}', allowed: an absolute path")
    return path
