"""Guesses, with reasons, of which column is the id, the time, the group, and the target."""

import difflib
from dataclasses import dataclass
from typing import Any

from sluice.config.model import Problem
from sluice.errors import ChoiceNeeded
from sluice.profile.facts.columns import ID_WORDS, ColumnFacts, fold_text, split_words

GIVEN = "as given"
"""The reason of what a person chose."""
TIME_WORDS = {"time", "date", "day", "month", "year", "timestamp", "created", "updated", "when"}
NAMING_WORDS = ID_WORDS - {"number", "no", "nr", "nummer"}
"""Words for an id even where values repeat: `number` may count something."""
FIRST_IDS = ({"id"}, {"row", "id"}, {"uuid"}, {"guid"}, {"index"})
"""Names of an id that need no choice among several: the row's own."""
ATTRIBUTE_WORDS = {
    "birth", "born", "birthdate", "birthday", "birthyear", "dob", "yob", "built", "renovated",
    "founded", "made", "model", "construction", "constructed", "manufactured", "graduation",
    "geburt", "geburtsdatum", "geburtsjahr", "geburtstag", "baujahr", "naissance", "nacimiento",
    "nascimento", "nascita", "geboortedatum",
}  # fmt: skip
"""Words for dates that describe a thing or a person, and do not say when the row happened."""
LATER_WORDS = {
    "updated", "modified", "changed", "edited", "end", "ended", "closed", "close", "deleted", "due",
    "expires", "expiry", "expiration", "until", "delivered", "cancelled", "canceled", "resolved",
    "returned", "paid", "finished", "completed", "last", "exit", "death", "died", "discharge",
    "discharged", "dropoff", "settled", "ende", "enddatum", "entlassen", "entlassung",
    "entlassungsdatum", "geliefert", "lieferdatum", "bezahlt", "storniert", "kundigungsdatum",
}  # fmt: skip
"""Words for dates that are most often known only after the row's own event."""
NUMBER_ROWS = (
    ".venv/bin/python -c \"import pandas; pandas.read_csv('FILE.csv', dtype=str, "
    "keep_default_na=False).to_csv('FILE-with-id.csv', index_label='row_id')\""
)
"""The command that numbers the rows of a CSV file; every cell is kept as it is written."""
DENSE = 0.5
"""Least share of the numbers between the first and the last that are there where rows are numbered.
"""
REPEATS = 1.05
"""Least mean number of rows per value of a column that names groups."""
YES_WORDS = {
    "yes", "true", "y", "t", "1", "1.0", "ja", "j", "wahr", "oui", "vrai", "si", "verdadero", "sim",
    "vero", "tak", "да", "はい", "是",
}  # fmt: skip
"""Words for yes in several languages, without accents."""
POSITIVE_WORDS = {*YES_WORDS, "positive", "positiv", "churned", "default", "fraud", "bad"}
CLASSES = 10
"""Most values of an integer target that is read as classes."""
LEAST_OF_CLASS = 20
"""Rows of a number's rarest value below which the values are amounts or counts, not classes."""
MOST_CLASSES = 100
"""Most classes of a target; more are merged by a person, or are no classes."""


@dataclass(frozen=True)
class Guess:
    """A value that was guessed or chosen, and the reason."""

    value: Any
    reason: str


def find_column(columns: tuple[ColumnFacts, ...], name: str, flag: str) -> ColumnFacts:
    """Return the column that a flag names.

    Raises:
        ChoiceNeeded: there is no column of that name; close ones are suggested.
    """
    known = {column.name: column for column in columns}
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, 1)
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    raise ChoiceNeeded(f"{flag}: no column '{name}'{hint}; allowed: {', '.join(known)}")


def find_id(columns: tuple[ColumnFacts, ...], target: str, choice: str = "") -> Guess:
    """Return the column whose values name each row once.

    Raises:
        ChoiceNeeded: the chosen column does not, no column seems to, or several do.
    """
    if choice:
        _check_id(find_column(columns, choice, "--id"), target)
        return Guess(choice, GIVEN)
    found = list_ids(columns, target)
    if len(found) == 1:
        return found[0]
    if found:
        raise ChoiceNeeded(
            f"--id: {len(found)} columns may name each row: {_show_guesses(found)}; the split "
            f"depends on the id, so a person must decide: pass --id {found[0].value}, or another"
        )
    raise ChoiceNeeded(explain_missing_id(columns, target, f"number the rows: {NUMBER_ROWS}"))


def explain_missing_id(
    columns: tuple[ColumnFacts, ...], target: str, way: str, is_key: bool = False
) -> str:
    """Return why no column can be the id; `way` ends with a command that makes one.

    `is_key`: the id that it makes follows from the row, so that later files need no count.
    """
    near = "" if is_key else _explain_near(columns, _list_unique(columns, target))
    later = "later files too" if is_key else "later files must go on counting"
    return (
        "no column names each row once (whole numbers or text, no null, no value twice), and the "
        f"split depends on one: {near}make one that never changes for its row, such as a key of "
        f"your database, or name the column with --id; {way} ({later})"
    )


def list_ids(columns: tuple[ColumnFacts, ...], target: str) -> tuple[Guess, ...]:
    """Return the columns that may be the id and are equally likely; one where it is clear."""
    unique_ones = _list_unique(columns, target)
    named = [column for column in unique_ones if is_named_id(column)]
    own = [column for column in named if set(split_words(column.name)) in FIRST_IDS]
    texts = [column for column in unique_ones if column.kind == "text" and not column.dated]
    for found, reason in (
        (own, "named as the row's own id, and no value comes twice"),
        (named, "named like an id, and no value comes twice"),
        ([item for item in unique_ones if counts_rows(item)], "counts the rows: none is missing"),
        (texts, "text without a null, and no value comes twice"),
    ):
        if found:
            return tuple(Guess(column.name, reason) for column in found)
    return ()


def is_named_id(column: ColumnFacts) -> bool:
    """Return whether a column's name has a word for an id."""
    return bool(ID_WORDS & set(split_words(column.name)))


def counts_rows(column: ColumnFacts) -> bool:
    """Return whether a column numbers the rows, each whole number once."""
    return (
        column.kind == "integer" and column.unique and column.high - column.low == column.rows - 1
    )


def numbers_rows(column: ColumnFacts) -> bool:
    """Return whether a column numbers rows of which some are missing, each whole number once.

    A measurement does not have a different value in each row and nearly all values between.
    """
    if column.kind != "integer" or not column.unique:
        return False
    return bool(column.rows >= DENSE * (column.high - column.low + 1))


def names_things(column: ColumnFacts) -> bool:
    """Return whether a column is an id of something that several rows share, such as a customer.

    A code of at most 30 values is a category, not an id.
    """
    return (
        bool(NAMING_WORDS & set(split_words(column.name)))
        and column.kind in ("integer", "text")
        and not column.levels
        and not column.dated
        and not column.unique
    )


def find_group(columns: tuple[ColumnFacts, ...], taken: set[str], choice: str = "") -> Guess | None:
    """Return the column whose rows must stay on one side of the split; None where there is none.

    Raises:
        ChoiceNeeded: the chosen column cannot name groups, or several columns may.
    """
    if choice.lower() == "none":
        return None
    if choice:
        column = find_column(columns, choice, "--group")
        if column.nulls or column.name in taken or column.distinct < 2:
            raise ChoiceNeeded(
                f"--group: '{choice}' has {column.distinct:,} values and {column.nulls:,} nulls; "
                "allowed: a column without a null, neither the id nor the target, or none"
            )
        return Guess(choice, GIVEN)
    found = list_groups(columns, taken)
    if len(found) > 1:
        raise ChoiceNeeded(
            f"--group: {len(found)} columns may name what rows belong to: {_show_guesses(found)}; "
            f"rows of one group stay on one side of the split: pass --group {found[0].value}, "
            "another, or none"
        )
    return found[0] if found else None


def list_groups(columns: tuple[ColumnFacts, ...], taken: set[str]) -> tuple[Guess, ...]:
    """Return the columns that name what several rows belong to."""
    return tuple(
        Guess(
            column.name,
            f"named like an id, {column.rows / column.distinct:.1f} rows a value: rows of one "
            f"{column.name} stay on one side, or the model is evaluated on what it has seen",
        )
        for column in columns
        if column.name not in taken
        and names_things(column)
        and not column.nulls
        and column.rows >= REPEATS * column.distinct
    )


def _list_unique(columns: tuple[ColumnFacts, ...], target: str) -> list[ColumnFacts]:
    return [
        column
        for column in columns
        if column.unique and column.kind in ("integer", "text") and column.name != target
    ]


def _show_guesses(found: tuple[Guess, ...]) -> str:
    return "; ".join(f"{item.value} ({item.reason})" for item in found)


def _check_id(column: ColumnFacts, target: str) -> None:
    if column.name == target:
        raise ChoiceNeeded(f"--id: '{target}' is the target; allowed: another column")
    if column.kind not in ("integer", "text"):
        raise ChoiceNeeded(f"--id: '{column.name}' is {column.kind}; allowed: integer or text")
    if column.nulls:
        raise ChoiceNeeded(f"--id: '{column.name}' is null in {column.nulls:,} rows; allowed: none")
    if not column.unique:
        raise ChoiceNeeded(
            f"--id: '{column.name}' has {column.distinct:,} different values in {column.rows:,} "
            "rows; allowed: each value once; if it names a customer of many rows, give every row a "
            f"key of its own and pass --group {column.name}"
        )


def _explain_near(columns: tuple[ColumnFacts, ...], unique_ones: list[ColumnFacts]) -> str:
    if unique_ones:
        return f"'{unique_ones[0].name}' comes close but looks like a measurement; "
    near = [column for column in columns if ID_WORDS & set(split_words(column.name))]
    if not near:
        return ""
    one = near[0]
    return f"'{one.name}' has {one.distinct:,} values in {one.rows:,} rows; "


def find_time(columns: tuple[ColumnFacts, ...], taken: set[str], choice: str = "") -> Guess:
    """Return the column that orders rows in time; an empty value where there is none.

    Raises:
        ChoiceNeeded: the chosen column is absent, has nulls, or cannot order rows; or several
            columns are as likely.
    """
    if choice.lower() == "none" and all(item.name != choice for item in columns):
        return Guess("", "as given: no column orders the rows")
    if choice:
        column = find_column(columns, choice, "--time")
        if column.nulls:
            raise ChoiceNeeded(
                f"--time: '{choice}' is null in {column.nulls:,} rows; allowed: none"
            )
        if column.name in taken or not (column.kind in ("timestamp", "integer") or column.dated):
            raise ChoiceNeeded(
                f"--time: '{choice}' is {column.kind}; allowed: a timestamp, a whole number such "
                "as a year, or text such as 2026-01-31, and neither the id nor the target"
            )
        return Guess(choice, GIVEN)
    found = list_times(columns, taken)
    if len(found) > 1:
        raise ChoiceNeeded(
            f"--time: {len(found)} columns may say when a row happened: {_show_guesses(found)}; "
            f"the newest rows are held out by it: pass --time {found[0].value}, another, or none"
        )
    return found[0] if found else Guess("", "no column says when a row happened")


def list_times(columns: tuple[ColumnFacts, ...], taken: set[str]) -> tuple[Guess, ...]:
    """Return the columns that may be the time and are equally likely; one where it is clear.

    Dates of birth or construction are none. A column named like a later event, such as an update,
    is one only where there is no other.
    """
    free = [
        item
        for item in columns
        if item.name not in taken
        and not item.nulls
        and item.distinct > 1
        and not ATTRIBUTE_WORDS & set(split_words(item.name))
    ]
    moments = [item for item in free if item.kind == "timestamp" or item.dated]
    years = [
        item
        for item in free
        if item.kind == "integer"
        and TIME_WORDS & set(split_words(item.name))
        and 1900 <= item.low <= item.high <= 2100
    ]
    found = moments or years
    first = [item for item in found if not LATER_WORDS & set(split_words(item.name))]
    later = [item.name for item in found if item not in first] if first else []
    but = f"; {', '.join(later)}: named like a later event" if later else ""
    return tuple(Guess(item.name, _explain_time(item) + but) for item in first or found)


def _explain_time(column: ColumnFacts) -> str:
    if column.kind == "integer":
        return f"named like a time, and holds {column.low}-{column.high}"
    return "holds dates without a null"


def find_problem(target: ColumnFacts, choice: str = "") -> Guess:
    """Return the kind of problem that fits the target.

    Raises:
        ChoiceNeeded: the target cannot be predicted, or the chosen kind does not fit it.
    """
    _check_target(target)
    allowed = _fitting_problems(target)
    if choice:
        if choice not in allowed:
            raise ChoiceNeeded(
                f"--kind: '{choice}' does not fit '{target.name}', {_show_values(target)}; "
                f"allowed: {', '.join(allowed) or 'none'}"
            )
        return Guess(choice, GIVEN)
    if not allowed:
        raise ChoiceNeeded(
            f"--target: '{target.name}' is {_show_values(target)}: neither classes (at most "
            f"{MOST_CLASSES}) nor numbers; merge classes, or name another column"
        )
    reason = f"'{target.name}' is {_show_values(target)}"
    if allowed[0] == "regression" and target.distinct <= CLASSES:
        reason += f"; too few rows of some for classes: {min(target.counts):,}"
    if allowed[0] == "multiclass" and "regression" in allowed:
        reason += "; where they are an order or a count: --kind regression"
    return Guess(allowed[0], reason)


def _check_target(target: ColumnFacts) -> None:
    if target.constant or target.distinct < 2:
        raise ChoiceNeeded(
            f"--target: '{target.name}' has one value only in {target.rows:,} rows: there is "
            "nothing to learn; bring rows of another outcome, or name another column"
        )
    if target.nulls:
        raise ChoiceNeeded(
            f"--target: '{target.name}' is null in {target.nulls:,} of {target.rows:,} rows; "
            "label those rows, or leave them out of the file"
        )


def _fitting_problems(target: ColumnFacts) -> list[Problem]:
    whole = all(float(value).is_integer() for value in target.levels) if target.numeric else True
    classes = bool(target.levels) and target.kind != "timestamp" and whole
    fitting: list[Problem] = []
    if classes and target.distinct == 2:
        fitting.append("binary")
    if classes and target.distinct > 2:
        fitting.append("multiclass")
    if target.numeric and target.distinct > 2:
        rare = bool(target.counts) and min(target.counts) < LEAST_OF_CLASS
        many = target.distinct > CLASSES or rare
        fitting.insert(0 if many else len(fitting), "regression")
    return fitting


def _show_values(target: ColumnFacts) -> str:
    if target.levels:
        first = ", ".join(str(value) for value in target.levels[:5])
        more = ", ..." if target.distinct > 5 else ""
        return f"{target.kind} with {target.distinct} values ({first}{more})"
    return f"{target.kind} with {target.distinct:,} different values"


def find_class(target: ColumnFacts, choice: str = "") -> Guess:
    """Return the class that counts as positive, or as favourable.

    Raises:
        ChoiceNeeded: the target has no such class.
    """
    levels = [as_written(value) for value in target.levels]
    if choice:
        for value in levels:
            if str(value).lower() == choice.lower():
                return Guess(value, GIVEN)
        known = ", ".join(str(value) for value in levels)
        raise ChoiceNeeded(
            f"--positive: '{choice}' is no value of '{target.name}'; allowed: {known}"
        )
    words = [fold_text(str(value)) for value in levels]
    for value, word in zip(levels, words, strict=True):
        if word in POSITIVE_WORDS and (word != "1" or "0" in words):
            return Guess(value, f"the word for yes among {levels[0]} and {levels[-1]}")
    rarest = levels[target.counts.index(min(target.counts))]
    return Guess(rarest, "the rarer of the two: most often the one to detect")


def as_written(value: Any) -> Any:
    """Return a class as the configuration writes it: whole numbers without a point."""
    return int(value) if isinstance(value, float) else value
