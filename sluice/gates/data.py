"""Whether data is what the service's rules say it is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from sluice.config.data import DataConfig
from sluice.data.leakage import FeaturePower
from sluice.verdict import Check, Outcome, Verdict, decide_outcome

RuleState = Literal["met", "broken", "errored", "not judged"]
OUTCOMES: dict[RuleState, Outcome] = {
    "met": Outcome.PASS,
    "broken": Outcome.FAIL,
    "errored": Outcome.INSUFFICIENT,
    "not judged": Outcome.LISTED,
}


@dataclass(frozen=True)
class RuleResult:
    """What one expectation of the suite found.

    `measured` is held against `limit` by `relation`; `n` rows were looked at. `finding` says in
    words what broke the rule, why it errored, or why it was not judged; `first` holds the ids of
    the first rows that broke it.
    """

    name: str
    state: RuleState
    measured: float | None = None
    limit: float | None = None
    relation: str = ""
    unit: str = ""
    n: int | None = None
    finding: str = ""
    first: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class DataEvidence:
    """Everything that the data gate judges, and where it can be looked at.

    `rows` are the table's, `known_rows` those of the service with this table, `new_rows` those that
    the previous version of `previous_rows` (None: there is none) does not have; `repeated` counts
    delivered rows whose ids it has. `bad_rows` names each row that broke a rule, with the columns
    `rule`, `column`, the service's id and `value`. `page` is the suite's data-docs page.
    """

    suite: str
    rows: int
    known_rows: int
    new_rows: int
    previous_rows: int | None
    repeated: int
    rules: tuple[RuleResult, ...]
    leakage: tuple[FeaturePower, ...]
    bad_rows: pa.Table
    page: Path | None = None


@dataclass(frozen=True)
class DataGate:
    """The service's limits on its data."""

    limits: DataConfig

    def judge(self, evidence: DataEvidence) -> Verdict:
        """Decide whether the data may go on: every rule of the suite, the rows, and no leakage."""
        id_column = self.limits.id
        rules = [_check_rule(rule, id_column) for rule in evidence.rules] or [_miss_rules(evidence)]
        powers = {power.feature: power for power in evidence.leakage}
        leakage = [self._check_leakage(name, powers.get(name)) for name in self.limits.features]
        checks = (*rules, self._check_repeated(evidence), *leakage, self._check_rows(evidence))
        outcome = decide_outcome(checks)
        return Verdict(
            gate="data",
            outcome=outcome,
            checks=checks,
            reason=_give_reason(checks, outcome, evidence, id_column),
            next_step=self._advise(checks, outcome, evidence),
            notices=_gather_notices(checks),
        )

    def _check_rows(self, evidence: DataEvidence) -> Check:
        needed = self.limits.minimum_rows
        enough = evidence.known_rows >= needed
        return Check(
            name="rows",
            outcome=Outcome.PASS if enough else Outcome.INSUFFICIENT,
            measured=evidence.known_rows,
            limit=needed,
            relation=">=",
            unit="rows",
            n=evidence.known_rows,
            note=""
            if enough
            else f"{evidence.known_rows:,} rows are too few to judge, {needed:,} needed",
        )

    def _check_repeated(self, evidence: DataEvidence) -> Check:
        note = (
            f"{evidence.repeated:,} of {evidence.rows:,} rows carry an id of the previous version"
        )
        return Check(
            name=f"{self.limits.id} new",
            outcome=Outcome.FAIL if evidence.repeated else Outcome.PASS,
            measured=evidence.repeated,
            limit=0,
            relation="<=",
            unit="rows",
            n=evidence.rows,
            note=note if evidence.repeated else "",
        )

    def _check_leakage(self, feature: str, found: FeaturePower | None) -> Check:
        name, limit = f"leakage of {feature}", self.limits.leakage.limit
        if found is None or found.power is None:
            note = "not measured: too few labelled rows of each class"
            rows = found.n if found else 0
            return Check(name, Outcome.INSUFFICIENT, limit=limit, relation="<=", n=rows, note=note)
        leaks = found.power > limit
        note = (
            f"{feature} alone tells the answer: power {found.power:.3f} on {found.part}"
            if leaks
            else ""
        )
        outcome = Outcome.FAIL if leaks else Outcome.PASS
        if leaks and feature in self.limits.leakage.allowed:
            outcome, note = Outcome.LISTED, f"{note}; allowed by data.leakage.allowed"
        return Check(name, outcome, found.power, found.interval, limit, "<=", "", found.n, note)

    def _advise(self, checks: tuple[Check, ...], outcome: Outcome, evidence: DataEvidence) -> str:
        if outcome is Outcome.PASS:
            return ""
        suite = f"gx/expectations/{evidence.suite}.json"
        first = _find_headline(checks, outcome).name
        if first.startswith("leakage of "):
            return _advise_leakage(first.removeprefix("leakage of "), outcome)
        if first == "rows":
            return f"bring {self.limits.minimum_rows - evidence.known_rows:,} more rows"
        if first == f"{self.limits.id} new":
            return "leave out the rows that the table has; a changed row needs an id of its own"
        if outcome is Outcome.INSUFFICIENT:
            return f"repair {suite}: a rule that cannot be evaluated protects nothing"
        return f"correct the data at its source, or change the rule in {suite} if the world changed"


def _check_rule(rule: RuleResult, id_column: str) -> Check:
    note = f"not judged: {rule.finding}" if rule.state == "not judged" else rule.finding
    note += _name_rows(rule, id_column, len(rule.first))
    return Check(
        name=rule.name,
        outcome=OUTCOMES[rule.state],
        measured=rule.measured,
        limit=rule.limit,
        relation=rule.relation,
        unit=rule.unit,
        n=rule.n,
        note=note,
    )


def _miss_rules(evidence: DataEvidence) -> Check:
    note = f"gx/expectations/{evidence.suite}.json has no expectation"
    return Check("suite", Outcome.INSUFFICIENT, measured=0, limit=1, relation=">=", note=note)


def _find_headline(checks: tuple[Check, ...], outcome: Outcome) -> Check:
    """Give the check to name first: the one that most rows broke, else the first of the suite."""
    decisive = [check for check in checks if check.outcome is outcome]
    return max(decisive, key=lambda check: (check.measured or 0.0) if check.unit == "rows" else 0.0)


def _name_rows(rule: RuleResult, id_column: str, shown: int) -> str:
    return f" (first: {id_column} {', '.join(rule.first[:shown])})" if rule.first else ""


def _advise_leakage(feature: str, outcome: Outcome) -> str:
    if outcome is Outcome.INSUFFICIENT:
        return f"bring labelled rows of each class, so that {feature} can be judged"
    return (
        f"find out when {feature} is filled in; leave it out of data.features, "
        "or list it in data.leakage.allowed"
    )


def _give_reason(
    checks: tuple[Check, ...], outcome: Outcome, evidence: DataEvidence, id_column: str
) -> str:
    if outcome is Outcome.PASS:
        judged = sum(check.outcome is Outcome.PASS for check in checks)
        before = evidence.previous_rows
        new = "no previous version" if before is None else f"{evidence.new_rows:,} of them new"
        return f"{evidence.rows:,} rows, {new}: {judged} checks passed"
    first = _find_headline(checks, outcome)
    others = [check.name for check in checks if check.outcome is outcome and check is not first]
    rule = next((rule for rule in evidence.rules if rule.name == first.name), None)
    fact = rule.finding + _name_rows(rule, id_column, 3) if rule else first.note
    return f"{first.name}: {fact}" + (f"; also {_list_names(others)}" if others else "")


def _gather_notices(checks: tuple[Check, ...]) -> tuple[str, ...]:
    """Give one notice for each reason why checks decide nothing, with the first names."""
    names: dict[str, list[str]] = {}
    for check in checks:
        if check.outcome is Outcome.LISTED:
            names.setdefault(check.note, []).append(check.name)
    return tuple(f"{note} ({_list_names(listed)})" for note, listed in names.items())


def _list_names(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
