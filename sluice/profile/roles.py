"""Which column is id, time, target or sensitive: guesses with reasons."""

import difflib
from dataclasses import dataclass
from typing import Any

from sluice.config.model import Problem
from sluice.errors import ChoiceNeeded
from sluice.profile.columns import ColumnFacts, split_words

ID_WORDS = {"id", "key", "uuid", "guid", "ident", "identifier", "number", "no", "nr"}
TIME_WORDS = {"time", "date", "day", "month", "year", "timestamp", "created", "updated", "when"}
POSITIVE_WORDS = ("yes", "true", "y", "t", "positive", "1", "churned", "default", "fraud", "bad")
CLASSES = 10
"""Most values of an integer target that are taken for classes; text may have 30."""


@dataclass(frozen=True)
class Guess:
    """A value that was guessed or asked for, and why."""

    value: Any
    reason: str


def find_column(columns: tuple[ColumnFacts, ...], name: str, flag: str) -> ColumnFacts:
    """Give the column that a flag names.

    Raises:
        ChoiceNeeded: there is none of that name; close ones are suggested.
    """
    known = {column.name: column for column in columns}
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, 1)
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    raise ChoiceNeeded(f"{flag}: no column '{name}'{hint}; allowed: {', '.join(known)}")


def find_id(columns: tuple[ColumnFacts, ...], target: str, asked: str = "") -> Guess:
    """Give the column that names each row once.

    Raises:
        ChoiceNeeded: the asked one does not, or none looks as if it did.
    """
    if asked:
        _check_id(find_column(columns, asked, "--id"), target)
        return Guess(asked, "as asked")
    able = [
        column
        for column in columns
        if column.unique and column.kind in ("integer", "text") and column.name != target
    ]
    named = [column for column in able if ID_WORDS & set(split_words(column.name))]
    texts = [column for column in able if column.kind == "text" and not column.dated]
    counted = [
        column
        for column in able
        if column.kind == "integer" and column.high - column.low == column.rows - 1
    ]
    for found, reason in (
        (named, "named like an id, and no value comes twice"),
        (counted, "counts the rows: no value is missing, none comes twice"),
        (texts, "text without a null, and no value comes twice"),
    ):
        if found:
            return Guess(found[0].name, reason)
    raise ChoiceNeeded(
        "no column names each row once (whole numbers or text, no null, no value twice), and the "
        f"split hangs on one: {_explain_near(columns, able)}make one that stays with its row for "
        "ever, such as a key of your database, name the column with --id, or number the rows: "
        ".venv/bin/python -c \"import pandas; pandas.read_csv('FILE.csv')"
        ".to_csv('FILE-with-id.csv', index_label='row_id')\" (later files must go on counting)"
    )


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
            f"key of its own and set split.group: {column.name} afterwards"
        )


def _explain_near(columns: tuple[ColumnFacts, ...], able: list[ColumnFacts]) -> str:
    if able:
        return f"'{able[0].name}' comes close but looks like a measurement; "
    near = [column for column in columns if ID_WORDS & set(split_words(column.name))]
    if not near:
        return ""
    one = near[0]
    return f"'{one.name}' has {one.distinct:,} values in {one.rows:,} rows; "


def find_time(columns: tuple[ColumnFacts, ...], taken: set[str], asked: str = "") -> Guess:
    """Give the column that orders rows in time; an empty value where there seems to be none.

    Raises:
        ChoiceNeeded: the asked one is absent, null somewhere, or of no kind that orders.
    """
    if asked:
        column = find_column(columns, asked, "--time")
        if column.nulls:
            raise ChoiceNeeded(f"--time: '{asked}' is null in {column.nulls:,} rows; allowed: none")
        if column.name in taken or not (column.kind in ("timestamp", "integer") or column.dated):
            raise ChoiceNeeded(
                f"--time: '{asked}' is {column.kind}; allowed: a timestamp, a whole number such as "
                "a year, or text such as 2026-01-31, and neither the id nor the target"
            )
        return Guess(asked, "as asked")
    free = [item for item in columns if item.name not in taken and not item.nulls]
    moments = [item for item in free if item.kind == "timestamp" or item.dated]
    years = [
        item
        for item in free
        if item.kind == "integer"
        and TIME_WORDS & set(split_words(item.name))
        and 1900 <= item.low <= item.high <= 2100
    ]
    if moments:
        return Guess(moments[0].name, "holds dates without a null")
    if years:
        return Guess(years[0].name, f"named like a time, and holds {years[0].low}-{years[0].high}")
    return Guess("", "no column holds dates or years")


def find_problem(target: ColumnFacts, asked: str = "") -> Guess:
    """Give the kind of problem that the target poses.

    Raises:
        ChoiceNeeded: the target cannot be predicted at all, or not as asked.
    """
    _check_target(target)
    allowed = _fitting_problems(target)
    if asked:
        if asked not in allowed:
            raise ChoiceNeeded(
                f"--kind: '{asked}' does not fit '{target.name}', {_show_values(target)}; "
                f"allowed: {', '.join(allowed) or 'none'}"
            )
        return Guess(asked, "as asked")
    if not allowed:
        raise ChoiceNeeded(
            f"--target: '{target.name}' is {_show_values(target)}: neither classes (at most 30) "
            "nor numbers; name another column"
        )
    return Guess(allowed[0], f"'{target.name}' is {_show_values(target)}")


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
        many = target.distinct > CLASSES
        fitting.insert(0 if many else len(fitting), "regression")
    return fitting


def _show_values(target: ColumnFacts) -> str:
    if target.levels:
        first = ", ".join(str(value) for value in target.levels[:5])
        more = ", ..." if target.distinct > 5 else ""
        return f"{target.kind} with {target.distinct} values ({first}{more})"
    return f"{target.kind} with {target.distinct:,} different values"


def find_class(target: ColumnFacts, asked: str = "") -> Guess:
    """Give the class that counts as positive, or as favourable.

    Raises:
        ChoiceNeeded: the target has no such class.
    """
    levels = [_as_written(value) for value in target.levels]
    if asked:
        for value in levels:
            if str(value).lower() == asked.lower():
                return Guess(value, "as asked")
        known = ", ".join(str(value) for value in levels)
        raise ChoiceNeeded(
            f"--positive: '{asked}' is no value of '{target.name}'; allowed: {known}"
        )
    for value in levels:
        if str(value).lower() in POSITIVE_WORDS:
            return Guess(value, f"of {levels[0]} and {levels[-1]}, the word for yes")
    rarest = levels[target.counts.index(min(target.counts))]
    return Guess(rarest, "the rarer of the two: what one looks for")


def _as_written(value: Any) -> Any:
    return int(value) if isinstance(value, float) else value


GROUPS = 20
"""Most values of a sensitive column: each is a group."""
WORDS = {
    "sex", "gender", "race", "racial", "ethnicity", "ethnic", "religion", "religious", "faith",
    "age", "birth", "birthdate", "dob", "nationality", "citizenship", "origin", "nativity",
    "disability", "disabled", "handicap", "marital", "pregnant", "pregnancy", "orientation",
    "caste", "veteran", "language", "immigrant", "foreign", "foreigner",
}  # fmt: skip
VALUES = (
    {"m", "f"}, {"male", "female"}, {"man", "woman"}, {"men", "women"},
    {"white", "black"}, {"christian", "muslim"}, {"single", "married"},
)  # fmt: skip


def suspect_sensitive(columns: tuple[ColumnFacts, ...], taken: set[str]) -> dict[str, str]:
    """Name the columns that may be sensitive, by their names or values, and why."""
    found = {}
    for column in columns:
        if column.name in taken:
            continue
        words = sorted(WORDS & set(split_words(column.name)))
        values = {str(value).strip().lower() for value in column.levels}
        if words:
            found[column.name] = f"its name says {words[0]}"
        elif pair := next((pair for pair in VALUES if pair <= values), None):
            found[column.name] = f"its values are such as {' and '.join(sorted(pair))}"
    return found


def read_sensitive(
    asked: str, reason: str, columns: tuple[ColumnFacts, ...], taken: set[str]
) -> tuple[str, ...]:
    """Give the sensitive columns that a person named; none where they said so with a reason.

    Raises:
        ChoiceNeeded: a column is unknown, is the id or the target, or has too many values to be
            groups; or `none` has no reason.
    """
    if asked.strip().lower() == "none":
        if not reason.strip():
            raise ChoiceNeeded(
                "--sensitive none needs --reason: one sentence for whoever asks why no group of "
                "people is looked at"
            )
        return ()
    names = [name.strip() for name in asked.split(",") if name.strip()]
    for name in names:
        column = find_column(columns, name, "--sensitive")
        if name in taken:
            raise ChoiceNeeded(f"--sensitive: '{name}' is the id or the target; allowed: others")
        if column.distinct > GROUPS or column.constant:
            raise ChoiceNeeded(
                f"--sensitive: '{name}' has {column.distinct:,} values, and each is a group; "
                f"allowed: 2 to {GROUPS}; add a column with bands (such as age_band) to the file"
            )
    if not names:
        raise ChoiceNeeded("--sensitive is empty: name columns, or say none with --reason")
    return tuple(dict.fromkeys(names))


def ask_for_sensitive(suspects: dict[str, str]) -> str:
    """Say what must be decided about sensitive columns, naming the suspected ones."""
    listed = ", ".join(f"{name} ({why})" for name, why in suspects.items())
    found = f"suspected: {listed}" if suspects else "none is suspected by name or values"
    example = ",".join(suspects) or "COLUMN,COLUMN"
    return (
        f"which columns name groups of people is for a person to say; {found}; "
        f"give --sensitive {example}, or --sensitive none --reason '...'"
    )
