"""The data sets of the benchmark, as `datasets.yaml` declares them."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

FOLDER = Path(__file__).parent
DECLARED = FOLDER / "datasets.yaml"
MOST_ROWS = 60_000
"""Most rows of a data set; of more, so many are drawn at random."""


@dataclass(frozen=True)
class PublicData:
    """A data set, what its person answers, and which columns may be left out, with the reasons.

    `person` has at most one decision, `approve` or `refuse`, with its reason. `remark` says why an
    outcome that is no champion is right.
    """

    name: str
    title: str
    package: str
    file: str
    target: str
    answers: dict[str, str]
    may_be_left_out: dict[str, str]
    format: Literal["csv", "parquet"] = "csv"
    number_rows: str = ""
    labelled: bool = False
    without: tuple[str, ...] = ()
    person: dict[str, str] = field(default_factory=dict)
    remark: str = ""

    @property
    def sensitive(self) -> tuple[str, ...]:
        """The columns that name groups of people."""
        named = self.answers["sensitive"]
        return () if named == "none" else tuple(named.split(","))

    def list_options(self) -> list[str]:
        """Return the options of `sluice init`."""
        words = ["--target", self.target]
        for option, answer in self.answers.items():
            words += [f"--{option}", answer]
        return words

    def specify_file(self) -> dict[str, Any]:
        """Return what the script that writes the file needs."""
        keys = ("file", "target", "number_rows", "labelled", "without")
        return {key: asdict(self)[key] for key in keys} | {"most_rows": MOST_ROWS}

    def find_undeclared(self, columns: tuple[str, ...], features: tuple[str, ...]) -> list[str]:
        """Return the columns that are no features and were not written down before the run."""
        declared = {self.target, *self.sensitive, *self.may_be_left_out}
        return [name for name in columns if name not in features and name not in declared]


def read_catalog(file: Path = DECLARED) -> tuple[PublicData, ...]:
    """Return the declared data sets, in the order of the file."""
    declared = yaml.safe_load(file.read_text(encoding="utf-8"))
    return tuple(
        PublicData(name=name, **{**facts, "without": tuple(facts.get("without", ()))})
        for name, facts in declared.items()
    )
