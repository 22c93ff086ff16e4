"""Guesses, with reasons, of which column is the id, the time, the target, or sensitive."""

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
"""Most values of an integer target that is read as classes; text may have 30."""
MOST_GROUPS = 20
"""Most values of a sensitive column: each is a group."""
SENSITIVE_WORDS = {
    "sex", "gender", "race", "racial", "ethnicity", "ethnic", "religion", "religious", "faith",
    "age", "birth", "birthdate", "dob", "nationality", "citizenship", "origin", "nativity",
    "disability", "disabled", "handicap", "marital", "pregnant", "pregnancy", "orientation",
    "caste", "veteran", "language", "immigrant", "foreign", "foreigner",
}  # fmt: skip
SENSITIVE_VALUES = (
    {"m", "f"}, {"male", "female"}, {"man", "woman"}, {"men", "women"},
    {"white", "black"}, {"christian", "muslim"}, {"single", "married"},
)  # fmt: skip


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
        ChoiceNeeded: the chosen column does not, or no column seems to.
    """
    if choice:
        _check_id(find_column(columns, choice, "--id"), target)
        return Guess(choice, "as given")
    unique_ones = [
        column
        for column in columns
        if column.unique and column.kind in ("integer", "text") and column.name != target
    ]
    named = [column for column in unique_ones if ID_WORDS & set(split_words(column.name))]
    unique_texts = [column for column in unique_ones if column.kind == "text" and not column.dated]
    counting = [
        column
        for column in unique_ones
        if column.kind == "integer" and column.high - column.low == column.rows - 1
    ]
    for found, reason in (
        (named, "named like an id, and no value comes twice"),
        (counting, "counts the rows: no value is missing, none comes twice"),
        (unique_texts, "text without a null, and no value comes twice"),
    ):
        if found:
            return Guess(found[0].name, reason)
    near = _explain_near(columns, unique_ones)
    raise ChoiceNeeded(
        "no column names each row once (whole numbers or text, no null, no value twice), and the "
        f"split depends on one: {near}make one that never changes for its row, such as a key of "
        "your database, name the column with --id, or number the rows: "
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


def _explain_near(columns: tuple[ColumnFacts, ...], unique_ones: list[ColumnFacts]) -> str:
    if unique_ones:
        return f"'{unique_ones[0].name}' comes close but looks like a measurement; "
    near = [column for column in columns if ID_WORDS & set(split_words(column.name))]
    if not near:
        return ""
    one = near[0]
    return f"'{one.name}' has {one.distinct:,} values in {one.rows:,} rows; "


def find_time(columns: tuple[ColumnFacts, ...], taken: set[str], choice: str = "") -> Guess:
    """Return the column that orders rows in time; an empty value where there seems to be none.

    Raises:
        ChoiceNeeded: the chosen column is absent, has nulls, or cannot order rows.
    """
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
        return Guess(choice, "as given")
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
        return Guess(choice, "as given")
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


def find_class(target: ColumnFacts, choice: str = "") -> Guess:
    """Return the class that counts as positive, or as favourable.

    Raises:
        ChoiceNeeded: the target has no such class.
    """
    levels = [_as_written(value) for value in target.levels]
    if choice:
        for value in levels:
            if str(value).lower() == choice.lower():
                return Guess(value, "as given")
        known = ", ".join(str(value) for value in levels)
        raise ChoiceNeeded(
            f"--positive: '{choice}' is no value of '{target.name}'; allowed: {known}"
        )
    for value in levels:
        if str(value).lower() in POSITIVE_WORDS:
            return Guess(value, f"the word for yes among {levels[0]} and {levels[-1]}")
    rarest = levels[target.counts.index(min(target.counts))]
    return Guess(rarest, "the rarer of the two: most often the one to detect")


def _as_written(value: Any) -> Any:
    return int(value) if isinstance(value, float) else value


def suspect_sensitive(columns: tuple[ColumnFacts, ...], taken: set[str]) -> dict[str, str]:
    """Return the columns that may be sensitive by name or values, each with the reason."""
    found = {}
    for column in columns:
        if column.name in taken:
            continue
        words = sorted(SENSITIVE_WORDS & set(split_words(column.name)))
        values = {str(value).strip().lower() for value in column.levels}
        if words:
            found[column.name] = f"its name says {words[0]}"
        elif pair := next((pair for pair in SENSITIVE_VALUES if pair <= values), None):
            found[column.name] = f"its values are such as {' and '.join(sorted(pair))}"
    return found


def read_sensitive(
    choice: str, reason: str, columns: tuple[ColumnFacts, ...], taken: set[str]
) -> tuple[str, ...]:
    """Return the sensitive columns that a person named; empty for `none` with a reason.

    Raises:
        ChoiceNeeded: a column is unknown, is the id or the target, or has too many values to be
            groups; or `none` has no reason.
    """
    if choice.strip().lower() == "none":
        if not reason.strip():
            raise ChoiceNeeded(
                "--sensitive none needs --reason: one sentence on why no group of people is audited"
            )
        return ()
    names = [name.strip() for name in choice.split(",") if name.strip()]
    for name in names:
        column = find_column(columns, name, "--sensitive")
        if name in taken:
            raise ChoiceNeeded(f"--sensitive: '{name}' is the id or the target; allowed: others")
        if column.distinct > MOST_GROUPS or column.constant:
            raise ChoiceNeeded(
                f"--sensitive: '{name}' has {column.distinct:,} values, and each is a group; "
                f"allowed: 2 to {MOST_GROUPS}; add a column with bands (such as age_band) to the "
                "file"
            )
    if not names:
        raise ChoiceNeeded("--sensitive is empty: name columns, or none with --reason")
    return tuple(dict.fromkeys(names))


def ask_for_sensitive(suspects: dict[str, str]) -> str:
    """Return the question which columns are sensitive, with the suspected ones."""
    listed = ", ".join(f"{name} ({reason})" for name, reason in suspects.items())
    found = f"suspected: {listed}" if suspects else "none is suspected by name or values"
    example = ",".join(suspects) or "COLUMN,COLUMN"
    return (
        f"a person must decide which columns name groups of people; {found}; "
        f"pass --sensitive {example}, or --sensitive none --reason '...'"
    )
