"""Columns that may name groups of people, and the class that is good for a person."""

import re

from sluice.config.model import Problem
from sluice.errors import ChoiceNeeded
from sluice.profile.facts.columns import ColumnFacts, fold_text, split_words
from sluice.profile.facts.roles import YES_WORDS, Guess, as_written, find_column

MOST_GROUPS = 20
"""Most values of a sensitive column: each is a group."""
SENSITIVE_WORDS = {
    "sex", "sexe", "gender", "gndr", "race", "racial", "faith", "age", "ages", "aged", "agegroup",
    "ageband", "born", "birth", "birthdate", "birthday", "birthyear", "dob", "yob", "origin",
    "caste", "language", "orientation", "female", "male", "woman", "women", "man", "men", "lgbt",
    "elderly", "retired", "senior", "seniors", "wife", "husband", "spouse", "partner", "married",
    "divorced", "widowed", "dependents", "dependants", "zip", "zipcode", "postcode", "postal",
    "plz", "pronouns", "hispanic", "latino", "minority", "indigenous", "native", "tribe",
    # German
    "geschlecht", "alter", "altersgruppe", "herkunft", "konfession", "familienstand", "anrede",
    "muttersprache", "postleitzahl", "rentner", "mann", "frau",
    # French, Spanish, Portuguese, Italian, Dutch
    "naissance", "origine", "langue", "civilite", "matrimoniale", "sexo", "edad", "idade", "raza",
    "raca", "idioma", "nacimiento", "nascimento", "genero", "sesso", "nascita", "razza", "geslacht",
    "leeftijd",
    # Polish, Russian
    "p\u0142ec", "plec", "wiek", "пол", "возраст",
}  # fmt: skip
"""Whole words of a column's name, as `split_words` gives them: without accents."""
SENSITIVE_PARTS = (
    "gender", "female", "ethnic", "religi", "nationalit", "citizen", "nativity", "disab",
    "handicap", "marital", "maritial", "marriage", "pregnan", "veteran", "immigra", "foreign",
    "zipcode", "postcode", "seniorcit", "lgbt", "ethni", "etni", "staatsangeh", "geburt",
    "behinder", "schwanger", "migration", "nacionalid", "nazionalit", "narodowo", "discapacid",
    "deficient", "cittadin", "familiale", "estadocivil", "estadociv", "geboorte",
    # Chinese and Japanese: sex, age, ethnic group, nationality, religion
    "性别", "性別", "年龄", "年齢", "民族", "国籍",
    "宗教",
)  # fmt: skip
"""Parts of a word, so that `ismarried2` or `FOREIGNWORKER` are found as well."""
SENSITIVE_VALUES = (
    {"m", "f"}, {"male", "female"}, {"man", "woman"}, {"men", "women"}, {"boy", "girl"},
    {"white", "black"}, {"christian", "muslim"}, {"single", "married"}, {"divorced", "married"},
    {"white", "asian"}, {"unmarried", "married"}, {"catholic", "protestant"}, {"mr", "mrs"},
    {"mr", "ms"}, {"mr.", "mrs."}, {"mr.", "ms."}, {"m", "w"}, {"h", "f"}, {"mannlich", "weiblich"},
    {"mann", "frau"}, {"herr", "frau"}, {"ledig", "verheiratet"}, {"homme", "femme"},
    {"masculin", "feminin"}, {"celibataire", "marie"}, {"hombre", "mujer"}, {"h", "m"},
    {"masculino", "femenino"}, {"masculino", "feminino"}, {"soltero", "casado"},
    {"maschio", "femmina"}, {"man", "vrouw"}, {"м", "ж"}, {"男", "女"},
)  # fmt: skip
"""Pairs of values, without accents; letters count where a column has at most four values."""
MOST_LETTERS = 4
HARMFUL_WORDS = {
    "churned", "churn", "left", "cancelled", "canceled", "exited", "bad", "fraud", "fraudulent",
    "default", "defaulted", "rejected", "reject", "refused", "declined", "denied", "late",
    "overdue", "arrested", "convicted", "recidivism", "recid", "guilty", "sick", "ill", "dead",
    "died", "death", "deceased", "disease", "fired", "dismissed", "failed", "fail", "stroke",
    "diabetes", "delinquent", "delinquency", "bankrupt", "charged", "unemployed", "dropout",
    "attrition", "loss", "risk", "severe", "malignant", "readmitted", "complication", "complaint",
    "theft", "abuse", "suspicious", "anomaly", "spam", "search", "searched", "citation",
    "returned", "relapse", "bankruptcy", "hospitalized", "defect", "gekundigt", "kundigung",
    "abgelehnt", "ausfall", "betrug", "storniert", "krank", "verstorben", "fraude", "impaye",
    "resilie", "refuse", "moroso", "rechazado", "impago", "rejeitado", "inadimplente",
}  # fmt: skip
"""Words for outcomes that are most often bad for a person."""


def suspect_sensitive(columns: tuple[ColumnFacts, ...], taken: set[str]) -> dict[str, str]:
    """Return the columns that may be sensitive by name or values, each with the reason."""
    found = {}
    for column in columns:
        if column.name in taken:
            continue
        word = _find_sensitive_word(column.name)
        values = {fold_text(str(value)) for value in column.levels}
        bands = ""
        if column.distinct > MOST_GROUPS:
            bands = f"; {column.distinct:,} values: a column with bands is needed to audit it"
        if word:
            found[column.name] = f"its name says {word}{bands}"
        elif pair := _find_pair(values):
            found[column.name] = f"its values are such as {' and '.join(sorted(pair))}"
    return found


def _find_pair(values: set[str]) -> set[str]:
    """Return the pair of values that often names groups of people; empty where there is none."""
    letters = len(values) <= MOST_LETTERS
    pairs = (pair for pair in SENSITIVE_VALUES if pair <= values)
    return next((pair for pair in pairs if letters or max(map(len, pair)) > 1), set())


def _find_sensitive_word(name: str) -> str:
    words = [re.sub(r"\d+$", "", word) for word in split_words(name)]
    whole = sorted(SENSITIVE_WORDS & set(words))
    if whole:
        return whole[0]
    joined = "".join(words)
    return next((word for word in [*words, joined] for part in SENSITIVE_PARTS if part in word), "")


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


def ask_for_sensitive(suspects: dict[str, str], columns: tuple[ColumnFacts, ...] = ()) -> str:
    """Return the question which columns are sensitive, with the suspected ones.

    The example names those of them that have few enough values to be groups.
    """
    many = {item.name for item in columns if item.distinct > MOST_GROUPS or item.constant}
    listed = ", ".join(f"{name} ({reason})" for name, reason in suspects.items())
    found = f"suspected: {listed}" if suspects else "none is suspected by name or values"
    example = ",".join(name for name in suspects if name not in many) or "COLUMN,COLUMN"
    return (
        f"a person must decide which columns name groups of people; {found}; "
        f"pass --sensitive {example}, or --sensitive none --reason '...'"
    )


def find_favourable(
    target: ColumnFacts, problem: Problem, choice: str, positive: Guess | None
) -> Guess | None:
    """Return the class that a person named as good for a person; None where none is needed.

    For several classes, `--positive` names it as well.

    Raises:
        ChoiceNeeded: no class was named, or the target has no such class.
    """
    if problem == "regression":
        if choice:
            raise ChoiceNeeded(
                f"--favourable: '{target.name}' is a number and has no classes; allowed: nothing"
            )
        return None
    if problem == "multiclass" and not choice and positive is not None:
        return positive
    if not choice:
        raise ChoiceNeeded(ask_for_favourable(target))
    for value in (as_written(level) for level in target.levels):
        if str(value).lower() == choice.strip().lower():
            return Guess(value, "as given")
    known = ", ".join(str(as_written(value)) for value in target.levels)
    raise ChoiceNeeded(f"--favourable: '{choice}' is no value of '{target.name}'; allowed: {known}")


def ask_for_favourable(target: ColumnFacts) -> str:
    """Return the question which class is good for a person, with what is probably harmful."""
    known = ", ".join(str(as_written(value)) for value in target.levels)
    harmful = suspect_harmful(target)
    clue = "".join(f"; {value} is probably harmful ({why})" for value, why in harmful.items())
    return (
        f"--favourable: a person must decide which class of '{target.name}' is good for a person, "
        f"because the groups are compared by it; allowed: {known}{clue}"
    )


def suspect_harmful(target: ColumnFacts) -> dict[str, str]:
    """Return the classes that are probably bad for a person, each with the reason.

    A class is suspected by its own word; the class for yes also by the column's name.
    """
    column = sorted(HARMFUL_WORDS & set(split_words(target.name)))
    found = {}
    for level in target.levels:
        value = str(as_written(level))
        words = sorted(HARMFUL_WORDS & set(split_words(value)))
        if words:
            found[value] = f"it says {words[0]}"
        elif column and fold_text(value) in YES_WORDS:
            found[value] = f"the column's name says {column[0]}"
    return found
