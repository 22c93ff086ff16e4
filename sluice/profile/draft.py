"""A draft of a service from a file's columns: every guess with its reason."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sluice.config.data import DataConfig, SplitConfig
from sluice.config.loading import OVERLAYS
from sluice.config.model import Problem
from sluice.data.leakage import LEAST_ROWS, FeaturePower, measure_leakage
from sluice.data.split import split_rows
from sluice.errors import ChoiceNeeded, DataInvalid
from sluice.profile.columns import ColumnFacts
from sluice.profile.roles import Guess, find_class, find_column, find_id, find_problem, find_time
from sluice.profile.trial import ModelTrial, run_trial

if TYPE_CHECKING:
    import pandas as pd

PATTERN = r"[a-z][a-z0-9-]{1,40}"
"""Pattern of a service's name."""
MINIMUM_ROWS = LEAST_ROWS
"""Fewest rows that any gate can judge."""
MINIMUM_CLASS_ROWS = LEAST_ROWS // 10
SAMPLED = 50_000
"""Rows that leakage and the trial are measured on; counts and ranges use every row."""
LEAKAGE_LIMIT = 0.9
MANY_VALUES = 0.5
"""Share of different values in a text column above which it is no feature."""
HOLDOUT = 0.3
MINIMUM_DATES = 20
"""Fewest different dates with which rows are split by time."""


@dataclass(frozen=True)
class InitOptions:
    """The options of `sluice init`; an option that is empty is guessed."""

    target: str
    id: str = ""
    time: str = ""
    kind: str = ""
    positive: str = ""
    sensitive: str = ""
    reason: str = ""
    service: str = ""


@dataclass(frozen=True)
class Roles:
    """The role of each column.

    `positive` is the class to detect, or the favourable one. `sensitive` columns name groups of
    people; `reason` is the reason why there are none.
    """

    id: Guess
    time: Guess
    target: ColumnFacts
    problem: Guess
    positive: Guess | None
    sensitive: tuple[str, ...] = ()
    reason: str = ""

    @property
    def taken(self) -> set[str]:
        """The columns that can be neither features nor sensitive."""
        return {self.id.value, self.target.name}


@dataclass(frozen=True)
class Draft:
    """Everything that a new service's files are written from.

    `left_out` has the reason for each column that is no feature. `leaks` and `powers` hold the
    power of the features that leak the target and of the others. `sampled` rows of `rows` were
    measured.
    """

    service: str
    source: str
    rows: int
    sampled: int
    columns: tuple[ColumnFacts, ...]
    roles: Roles
    data: DataConfig
    split: SplitConfig
    left_out: dict[str, str]
    leaks: tuple[FeaturePower, ...]
    powers: tuple[FeaturePower, ...]
    trial: ModelTrial
    held_out: int
    groups: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def problem(self) -> Problem:
        """The kind of problem of the target."""
        found: Problem = self.roles.problem.value
        return found

    @property
    def sensitive(self) -> tuple[str, ...]:
        """The columns that name groups of people."""
        return self.roles.sensitive


def name_service(path: Path, choice: str = "") -> str:
    """Return the chosen name, or the one that the file's name suggests.

    Raises:
        ChoiceNeeded: it is not a valid name of a service.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-0123456789")[:41]
    name = choice or plain
    if not re.fullmatch(PATTERN, name) or name in OVERLAYS:
        origin = "--service" if choice else f"{path}: the file's name suggests"
        raise ChoiceNeeded(
            f"{origin} '{name}'; allowed: 2 to 41 lower-case letters, digits and hyphens, a letter "
            f"first, and not {' or '.join(OVERLAYS)}; give it with --service NAME"
        )
    return name


def assign_roles(columns: tuple[ColumnFacts, ...], options: InitOptions, source: str) -> Roles:
    """Return the role of each column, by the options and by its content.

    Raises:
        ChoiceNeeded: a named column is absent or cannot have the role.
        DataInvalid: there are too few rows, or too few of a class, for any gate to judge.
    """
    target = find_column(columns, options.target, "--target")
    problem = find_problem(target, options.kind)
    _check_rows(target, problem.value, source)
    named = find_id(columns, target.name, options.id)
    time = find_time(columns, {named.value, target.name}, options.time)
    positive = None
    if problem.value == "binary" or (problem.value == "multiclass" and options.positive):
        positive = find_class(target, options.positive)
    return Roles(named, time, target, problem, positive)


def _check_rows(target: ColumnFacts, problem: Problem, source: str) -> None:
    if target.rows < MINIMUM_ROWS:
        held = target.rows * HOLDOUT
        figure, spread = "an accuracy by", 0.8 / held**0.5  # 1.645 standard errors of a share .5
        if problem == "regression":
            figure, spread = "a mean error, in shares of its own spread, by", 1.645 / held**0.5
        raise DataInvalid(
            f"{source}: {target.rows:,} rows are too few for any gate: a release holds "
            f"{HOLDOUT:.0%} out, and on {held:.0f} rows chance alone moves {figure} "
            f"{spread:.2f}; bring at least {MINIMUM_ROWS}, better 2,000"
        )
    if problem == "regression":
        return
    rarest = min(target.counts)
    if rarest < MINIMUM_CLASS_ROWS:
        name = target.levels[target.counts.index(rarest)]
        raise DataInvalid(
            f"{source}: class {name!r} of '{target.name}' has {rarest:,} rows, at least "
            f"{MINIMUM_CLASS_ROWS} needed: bring more, or merge it with another class"
        )


def choose_features(
    columns: tuple[ColumnFacts, ...], roles: Roles
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the feature columns, and the reason why each of the others is none.

    Raises:
        ChoiceNeeded: no column is left.
    """
    reasons = {column.name: _refuse_feature(column, roles) for column in columns}
    left_out = {name: reason for name, reason in reasons.items() if reason}
    features = tuple(name for name in reasons if name not in left_out)
    if not features:
        listed = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise ChoiceNeeded(f"no column is left as a feature ({listed}); bring columns that vary")
    return features, left_out


def _refuse_feature(column: ColumnFacts, roles: Roles) -> str:
    """Return the reason why a column cannot be a feature; empty where it can."""
    known = column.rows - column.nulls
    wordy = column.kind == "text" and (column.dated or column.distinct > MANY_VALUES * known)
    reasons = (
        (column.name == roles.id.value, "the id"),
        (column.name == roles.target.name, "the target"),
        (column.name == roles.time.value, "the time: later rows have values not in training"),
        (column.constant, "one value in every row: it predicts nothing"),
        (column.name in roles.sensitive, "sensitive: no prediction should depend on it"),
        (
            known < max(MINIMUM_ROWS, column.rows // 50),
            f"empty in {column.nulls:,} of {column.rows:,} rows",
        ),
        (wordy, f"text with {column.distinct:,} different values"),
    )
    return next((reason for applies, reason in reasons if applies), "")


def draft_service(
    service: str,
    source: str,
    frame: "pd.DataFrame",
    columns: tuple[ColumnFacts, ...],
    roles: Roles,
) -> Draft:
    """Measure target leakage, run a trial, and return the draft of a service's files.

    `frame` may be a sample of the file; the facts of `columns` are those of all its rows.

    Raises:
        ChoiceNeeded: no feature is left, or a multiclass service names no favourable class.
        TrainingImpossible: no model can be trained on the rows.
    """
    if roles.problem.value == "multiclass" and roles.sensitive and roles.positive is None:
        known = ", ".join(map(str, roles.target.levels))
        raise ChoiceNeeded(
            f"--positive: name the class that is good for a person; allowed: {known}"
        )
    features, left_out = choose_features(columns, roles)
    powers, leaks = _find_leaks(frame, features, roles)
    left_out |= {item.feature: f"target leakage: power {item.power:.3f} alone" for item in leaks}
    kept = tuple(item.feature for item in powers)
    data = _describe_data(service, columns, roles, kept)
    split = SplitConfig(by=_choose_split(columns, roles), holdout=HOLDOUT)
    parts = split_rows(frame, data, split)
    return Draft(
        service=service,
        source=source,
        rows=roles.target.rows,
        sampled=len(frame),
        columns=columns,
        roles=roles,
        data=data,
        split=split,
        left_out=left_out,
        leaks=leaks,
        powers=powers,
        trial=run_trial(frame[parts.training].reset_index(drop=True), data, roles.problem.value),
        held_out=round(roles.target.rows * parts.share),
        groups=_count_groups(columns, roles.sensitive, parts.share),
    )


def _find_leaks(
    frame: "pd.DataFrame", features: tuple[str, ...], roles: Roles
) -> tuple[tuple[FeaturePower, ...], tuple[FeaturePower, ...]]:
    """Return the power of each feature that is kept, and of each that leaks the target."""
    target = roles.target.name
    nothing_new = frame[target].isna()
    powers = measure_leakage(frame, nothing_new, features, target, roles.problem.value)
    leaks = tuple(item for item in powers if (item.power or 0.0) > LEAKAGE_LIMIT)
    if len(leaks) == len(powers):
        raise ChoiceNeeded(
            f"every feature leaks the target ({', '.join(features)}): bring columns that are known "
            "before the outcome"
        )
    return tuple(item for item in powers if item not in leaks), leaks


def _describe_data(
    service: str, columns: tuple[ColumnFacts, ...], roles: Roles, features: tuple[str, ...]
) -> DataConfig:
    rows = roles.target.rows
    return DataConfig(
        id=roles.id.value,
        time=roles.time.value,
        target=roles.target.name,
        positive=roles.positive.value if roles.positive else 1,
        columns={column.name: column.kind for column in columns},
        features=features,
        suite=service,
        minimum_rows=max(MINIMUM_ROWS, rows // 2),
    )


def _choose_split(columns: tuple[ColumnFacts, ...], roles: Roles) -> Literal["hash", "time"]:
    time = next((item for item in columns if item.name == roles.time.value), None)
    many = time is not None and time.distinct >= MINIMUM_DATES
    return "time" if many and time is not None and time.kind != "integer" else "hash"


def _count_groups(
    columns: tuple[ColumnFacts, ...], sensitive: tuple[str, ...], share: float
) -> dict[str, dict[str, int]]:
    """Return about how many held-out rows each group of each sensitive column will have."""
    return {
        column.name: {
            str(level): round(count * share)
            for level, count in zip(column.levels, column.counts, strict=True)
        }
        for column in columns
        if column.name in sensitive
    }
