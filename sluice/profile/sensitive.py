"""Which columns may name groups of people that a model must not treat worse."""

from sluice.errors import ChoiceNeeded
from sluice.profile.columns import ColumnFacts, split_words
from sluice.profile.roles import find_column

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
