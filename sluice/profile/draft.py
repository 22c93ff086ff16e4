"""A draft of a service from a file's columns: every guess with its reason."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluice.config.data import DataConfig, Leakage, SplitConfig
from sluice.config.loading import OVERLAYS
from sluice.config.model import Problem
from sluice.config.reading import ReadingConfig
from sluice.data.extensions import split_name
from sluice.data.leakage import FeaturePower
from sluice.errors import ChoiceNeeded
from sluice.profile.facts.columns import ColumnFacts
from sluice.profile.facts.leaks import LEAKAGE_LIMIT, StrongFeature, find_leaks
from sluice.profile.facts.roles import (
    GIVEN,
    Guess,
    find_class,
    find_column,
    find_group,
    find_id,
    find_problem,
    find_time,
    is_named_id,
    names_things,
    numbers_rows,
)
from sluice.profile.facts.sensitive import ask_for_favourable
from sluice.profile.facts.sizes import (
    MINIMUM_ROWS,
    check_rows,
    choose_order,
    choose_split,
    count_groups,
)
from sluice.profile.trial.candidates import FILLED
from sluice.profile.trial.features import EncodingChoice, choose_encodings, try_calendar
from sluice.profile.trial.floors import ModelTrial, run_trial
from sluice.profile.trial.rows import ColumnCost, draw_test, measure_costs, try_older_rows

if TYPE_CHECKING:
    import pandas as pd

PATTERN = r"[a-z][a-z0-9-]{1,40}"
"""Pattern of a service's name."""
SAMPLED = 50_000
"""Rows that leakage and the trial are measured on; counts and ranges use every row."""
MANY_VALUES = 0.5
"""Share of different values in a text column above which it is no feature."""


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
    favourable: str = ""
    group: str = ""
    keep: str = ""

    @property
    def kept(self) -> tuple[str, ...]:
        """The features that a person checked: they are known before the outcome."""
        return tuple(name.strip() for name in self.keep.split(",") if name.strip())


@dataclass(frozen=True)
class Roles:
    """The role of each column.

    `positive` is the class to detect, `favourable` the one that is good for a person. Rows of one
    value of `group` stay on one side of the split. `sensitive` columns name groups of people;
    `reason` is the reason why there are none. `keep` names features that a person checked.
    """

    id: Guess
    time: Guess
    target: ColumnFacts
    problem: Guess
    positive: Guess | None
    sensitive: tuple[str, ...] = ()
    reason: str = ""
    group: Guess | None = None
    favourable: Guess | None = None
    keep: tuple[str, ...] = ()

    @property
    def taken(self) -> set[str]:
        """The columns that can be neither features nor sensitive."""
        return {self.id.value, self.target.name}


@dataclass(frozen=True)
class Draft:
    """Everything that a new service's files are written from.

    `left_out` has the reason for each column that is no feature. `powers` holds the power of each
    feature, `strong` the decision on each that is above the limit, and `costs` what leaving columns
    out costs in the trial. `older` has each metric of a model and of a constant on older rows.
    `sampled` rows of `rows` were measured.
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
    strong: tuple[StrongFeature, ...]
    powers: tuple[FeaturePower, ...]
    trial: ModelTrial
    held_out: int
    groups: dict[str, dict[str, int]] = field(default_factory=dict)
    unusual: str = ""
    older: dict[str, tuple[float, float]] | None = None
    costs: tuple[ColumnCost, ...] = ()
    encodings: dict[str, EncodingChoice] = field(default_factory=dict)

    def read_by(self, reading: ReadingConfig) -> "Draft":
        """Return the draft with the way in which later files are read."""
        return replace(self, data=self.data.model_copy(update={"reading": reading}))

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
    stem, _ = split_name(path)
    plain = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-0123456789")[:41]
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
        DataInvalid: there are too few rows for any gate to judge.
    """
    target = find_column(columns, options.target, "--target")
    problem = find_problem(target, options.kind)
    check_rows(target, problem.value, source)
    for name in options.kept:
        find_column(columns, name, "--keep")
    named = find_id(columns, target.name, options.id)
    time = find_time(columns, {named.value, target.name}, options.time)
    positive = None
    if problem.value == "binary" or (problem.value == "multiclass" and options.positive):
        positive = find_class(target, options.positive)
    group = find_group(columns, {named.value, target.name, time.value}, options.group)
    return Roles(named, time, target, problem, positive, group=group, keep=options.kept)


def choose_features(
    columns: tuple[ColumnFacts, ...], roles: Roles, encoded: Collection[str] = ()
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the feature columns, and the reason why each of the others is none.

    Raises:
        ChoiceNeeded: no column is left.
    """
    reasons = {column.name: _refuse_feature(column, roles, encoded) for column in columns}
    left_out = {name: reason for name, reason in reasons.items() if reason}
    features = tuple(name for name in reasons if name not in left_out)
    if not features:
        listed = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise ChoiceNeeded(f"no column is left as a feature ({listed}); bring columns that vary")
    return features, left_out


def _refuse_feature(column: ColumnFacts, roles: Roles, encoded: Collection[str] = ()) -> str:
    """Return the reason why a column cannot be a feature; empty where it can."""
    known = column.rows - column.nulls
    wordy = column.kind == "text" and column.distinct > MANY_VALUES * known
    names = names_things(column) or (column.unique and is_named_id(column))
    reasons = (
        (column.name == roles.id.value, "the id"),
        (column.name == roles.target.name, "the target"),
        (column.name == roles.time.value, "the time: later rows have values not in training"),
        (column.constant, "one value in every row: it predicts nothing"),
        (column.name in roles.sensitive, "sensitive: no prediction should depend on it"),
        (roles.group is not None and column.name == roles.group.value, "the group of the split"),
        (
            known < max(MINIMUM_ROWS, column.rows // 50),
            f"empty in {column.nulls:,} of {column.rows:,} rows",
        ),
        (
            names and column.name not in roles.keep,
            "an id: it names a thing, later rows have others",
        ),
        (numbers_rows(column) and column.name not in roles.keep, "it only counts the rows"),
        (wordy and column.name not in encoded, f"text with {column.distinct:,} different values"),
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

    `frame` may be a sample of the file; the facts of `columns` are those of all its rows. Where the
    service is split by time, the trial's models are evaluated on the newest training rows.

    Raises:
        ChoiceNeeded: no feature is left, no split holds enough rows out, or a service with
            sensitive columns names no favourable class.
        TrainingImpossible: no model can be trained on the rows.
    """
    problem = roles.problem.value
    if problem != "regression" and roles.sensitive and roles.favourable is None:
        raise ChoiceNeeded(ask_for_favourable(roles.target))
    encodings = choose_encodings(columns, frame)
    features, left_out = choose_features(columns, roles, encodings)
    described = _describe_data(service, columns, roles, features)
    roles = _drop_guessed_group(columns, roles)
    group = roles.group.value if roles.group else ""
    split, parts, unusual = choose_split(frame, described, columns, problem, group)
    training = frame[parts.training].reset_index(drop=True)
    test = draw_test(training, described, problem, split)
    features = _drop_empty(training, test, features, left_out)
    newest = parts.holdout if split.by == "time" else None
    found = find_leaks(frame, newest, features, roles.target.name, problem, roles.keep)
    left_out |= {item.name: item.reason for item in found.left_out}
    kept = tuple(item.feature for item in found.powers)
    data = described.model_copy(
        update={
            "features": kept,
            "encodings": {name: encodings[name].encoding for name in kept if name in encodings},
            "leakage": Leakage(limit=LEAKAGE_LIMIT, allowed=found.allowed),
        }
    )
    data, calendar = try_calendar(data, problem, training, test)
    if calendar:
        encodings[data.time] = calendar
        left_out.pop(data.time, None)
    trial = run_trial(training, data, problem, test, split)
    costly = (*(item.name for item in found.left_out), *roles.sensitive)
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
        strong=found.strong,
        powers=found.powers,
        trial=trial,
        held_out=round(roles.target.rows * parts.share),
        groups=count_groups(frame, parts, roles.sensitive, roles.target.rows),
        unusual=unusual,
        older=try_older_rows(trial.model, data, problem, training, test, split),
        costs=measure_costs(trial, data, problem, training, test, costly),
        encodings=encodings,
    )


def _drop_guessed_group(columns: tuple[ColumnFacts, ...], roles: Roles) -> Roles:
    """Return the roles without a group that was only guessed, where rows are split by time.

    There a group is on both sides in use as well: the model predicts its next row.
    """
    guessed = roles.group is not None and roles.group.reason != GIVEN
    if guessed and choose_order(columns, roles.time.value) == "time":
        return replace(roles, group=None)
    return roles


def _drop_empty(
    training: "pd.DataFrame",
    test: NDArray[np.bool_],
    features: tuple[str, ...],
    left_out: dict[str, str],
) -> tuple[str, ...]:
    """Return the features that the training rows fill; `left_out` takes the reason for others.

    Those that the trial trains on, outside `test`, have to fill them too.

    Raises:
        ChoiceNeeded: no column is left.
    """
    older = training[~test]
    kept = []
    for name in features:
        short = [
            f"filled in {filled:,} of {len(rows):,} {words} rows: only newer rows have it"
            for rows, words in ((training, "training"), (older, "older training"))
            if (filled := int(rows[name].notna().sum())) < max(FILLED, len(rows) // 50)
        ]
        if short:
            left_out[name] = short[0]
        elif training[name].notna().all() and training[name].nunique() == 1:
            left_out[name] = "one value in every training row: only newer rows differ"
        else:
            kept.append(name)
    if not kept:
        listed = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise ChoiceNeeded(f"no column is left as a feature ({listed}); bring columns that vary")
    return tuple(kept)


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
