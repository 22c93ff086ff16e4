"""How a service's files and cells are read: kept, so that every later file is read alike."""

import codecs
import re
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from sluice.config.yaml_file import KeyInvalid, Section

NULL_WORDS = ("NA", "N/A", "#N/A", "NaN", "null", r"\N")
"""Words for an absent value that have no other meaning among numbers and times."""
ISO = "iso"
"""Form of times: ISO 8601, such as `2024-05-01`, `2024-05-01 12:00:00` or with a zone."""
DIRECTIVES = frozenset("YmdHMSbBpIyje%")
"""Letters that may follow `%` in the form of a time."""
Thousands = Literal["", ",", ".", " ", "'"]


class ColumnReading(Section):
    """How one column's cells are written."""

    thousands: Thousands = ""
    """Sign between groups of digits."""
    prefix: str = Field("", max_length=8)
    """Sign that may stand before a number, such as `$`."""
    suffix: str = Field("", max_length=8)
    """Sign that stands behind every number, such as `%`: `45%` is read as 45."""
    time: str = ISO
    """Form of a time: `iso`, or directives such as `%d.%m.%Y %H:%M`."""

    @field_validator("time")
    @classmethod
    def _form_is_known(cls, form: str) -> str:
        used = re.findall(r"%(.?)", form)
        unknown = [letter for letter in used if letter not in DIRECTIVES or not letter]
        if form != ISO and (unknown or not used):
            found = f"%{unknown[0]}" if unknown else form
            allowed = ", ".join(f"%{letter}" for letter in sorted(DIRECTIVES))
            raise ValueError(f"found '{found}', allowed: {ISO}, or a form of {allowed}")
        return form


class ReadingConfig(Section):
    """How a service's files are read; `init` decides it once, and options change it."""

    delimiter: str = ","
    r"""Sign between a CSV file's cells; `\t` is a tab."""
    encoding: str = "utf-8"
    """Encoding of a CSV file, by its Python name; a byte order mark in the file goes first."""
    decimal: Literal[".", ","] = "."
    """Sign before the fraction of a number in a CSV file."""
    zone: str = "UTC"
    """Time zone of moments that have none, by its IANA name."""
    nulls: tuple[str, ...] = NULL_WORDS
    """Cells that are null in columns of numbers, times and booleans, in any case; never in text."""
    columns: dict[str, ColumnReading] = Field(default_factory=dict)
    """Columns whose cells are written in a form of their own."""

    @field_validator("delimiter")
    @classmethod
    def _delimiter_is_one_sign(cls, sign: str) -> str:
        sign = "\t" if sign in (r"\t", "tab") else sign
        if len(sign) != 1 or not sign.isascii() or sign.isalnum() or sign in '"\r\n\\.-+':
            raise ValueError(f"found {sign!r}, allowed: one sign, such as , or ; or \\t or |")
        return sign

    @field_validator("encoding")
    @classmethod
    def _encoding_is_known(cls, name: str) -> str:
        try:
            found = codecs.lookup(name)
            "a".encode(name)
        except (LookupError, UnicodeError, ValueError) as error:
            raise ValueError(
                f"found '{name}', allowed: a text encoding such as utf-8, cp1252 or utf-16"
            ) from error
        return found.name

    @field_validator("zone")
    @classmethod
    def _zone_is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, KeyError) as error:
            raise ValueError(
                f"found '{name}', allowed: the IANA name of a time zone, such as UTC or "
                "Europe/Berlin"
            ) from error
        return name

    @model_validator(mode="after")
    def _groups_have_another_sign(self) -> "ReadingConfig":
        for name, column in self.columns.items():
            if column.thousands == self.decimal:
                raise KeyInvalid(
                    f"columns.{name}.thousands",
                    f"found '{self.decimal}', the decimal sign; allowed: another",
                )
        return self

    def of(self, column: str) -> ColumnReading:
        """Return how a column's cells are written."""
        return self.columns.get(column, PLAIN)


PLAIN = ColumnReading()
