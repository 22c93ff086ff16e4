"""How rows are divided into those that teach and those that judge."""

from typing import Literal

from pydantic import Field

from sluice.config.section import Section


class SplitConfig(Section):
    """A deterministic split: the same rows, seed and share give the same parts for ever."""

    by: Literal["hash", "time"] = "hash"
    """`hash`: by the row's id (or group); `time`: the newest rows are held out."""
    holdout: float = Field(0.3, gt=0.0, lt=0.9)
    """Share of the rows that no model trains on."""
    seed: int = Field(0, ge=0)
    """Seed of the hash."""
    group: str = ""
    """Column whose rows stay together (a household, a customer); empty: each row alone."""
