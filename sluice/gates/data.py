"""The data gate: whether a data version keeps the service's rules and leaks no target."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from sluice.config.data import DataConfig
from sluice.data.leakage import FeaturePower
from sluice.verdict import Check, Outcome, Verdict, decide_outcome

LEAKAGE = "target leakage of "
"""Beginning of the name of each check for target leakage; the feature follows."""
COMMANDS = 3
"""Most commands that the next step names."""
RuleState = Literal["met", "broken", "errored", "not judged"]
OUTCOMES: dict[RuleState, Outcome] = {
    "met": Outcome.PASS,
    "broken": Outcome.FAIL,
    "errored": Outcome.INSUFFICIENT,
    "not judged": Outcome.LISTED,
}


@dataclass(frozen=True)
class RuleResult:
    """The result of one expectation of the suite.

    `measured` is compared with `limit` by `relation`, over `n` rows. `finding` describes what broke
    the rule, the error, or the reason why it was not judged; `first` holds the ids of the first
    rows that broke it. `change` has the words after `sluice expect` and the service that change
    the rule.
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
    change: str = ""


@dataclass(frozen=True, eq=False)
class DataEvidence:
    """Everything that the data gate judges, and the page that shows it.

    `rows` counts the table's rows, `known_rows` all rows that the service has with this table,
    `new_rows` those whose ids the previous version does not have. `previous_rows` counts the rows
    of that version (None: there is none), `repeated` the delivered rows whose ids it has.
    `bad_rows` has a row for each row that broke a rule, with the columns `rule`, `column`, the
    service's id and `value`. `page` is the suite's data-docs page.

    `is_increment`: the rows are a batch that is to be appended, so what it is too small for is left
    to the release. `service` is empty where the suite has its name.
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
    is_increment: bool = False
    service: str = ""


@dataclass(frozen=True)
class DataGate:
    """The service's limits on its data."""

    limits: DataConfig

    def judge(self, evidence: DataEvidence) -> Verdict:
        """Return the verdict on every rule of the suite, the number of rows and target leakage."""
        id_column = self.limits.id
        rules = [_check_rule(rule, id_column) for rule in evidence.rules] or [
            _report_empty_suite(evidence)
        ]
        powers = {power.feature: power for power in evidence.leakage}
        is_large_first = evidence.previous_rows is None and (
            evidence.rows >= self.limits.minimum_rows
        )
        is_listed = evidence.is_increment and not is_large_first
        unmeasured = Outcome.LISTED if is_listed else Outcome.INSUFFICIENT
        leakage = [
            self._check_leakage(name, powers.get(name), unmeasured) for name in self.limits.features
        ]
        checks = (*rules, self._check_repeated(evidence), *leakage, self._check_rows(evidence))
        outcome = decide_outcome(checks)
        return Verdict(
            gate="data",
            outcome=outcome,
            checks=checks,
            reason=_write_reason(checks, outcome, evidence, id_column),
            next_step=self._advise(checks, outcome, evidence),
            notices=_list_notices(checks),
        )

    def _check_rows(self, evidence: DataEvidence) -> Check:
        needed = self.limits.minimum_rows
        enough = evidence.known_rows >= needed
        note = f"{evidence.known_rows:,} rows are too few to judge, {needed:,} needed"
        if evidence.is_increment:
            note = f"{evidence.known_rows:,} rows so far, a release needs {needed:,}"
        short = Outcome.LISTED if evidence.is_increment else Outcome.INSUFFICIENT
        return Check(
            name="rows",
            outcome=Outcome.PASS if enough else short,
            measured=evidence.known_rows,
            limit=needed,
            relation=">=",
            unit="rows",
            n=evidence.known_rows,
            note="" if enough else note,
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

    def _check_leakage(
        self, feature: str, found: FeaturePower | None, unmeasured: Outcome
    ) -> Check:
        name, limit = f"{LEAKAGE}{feature}", self.limits.leakage.limit
        if found is None or found.power is None:
            note = "not measured: too few labelled rows of each class"
            note += "; judged at release" if unmeasured is Outcome.LISTED else ""
            rows = found.n if found else 0
            return Check(name, unmeasured, limit=limit, relation="<=", n=rows, note=note)
        leaks = found.power > limit
        note = (
            f"{feature} alone predicts the target: power {found.power:.3f} on {found.part}"
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
        if first.startswith(LEAKAGE):
            return _advise_leakage(first.removeprefix(LEAKAGE), outcome)
        if first == "rows":
            return f"bring {self.limits.minimum_rows - evidence.known_rows:,} more rows"
        if first == f"{self.limits.id} new":
            return "remove the rows that the table already has; give a changed row a new id"
        changes = _write_changes(evidence)
        if outcome is Outcome.INSUFFICIENT:
            advice = f"repair {suite}: a rule that cannot be evaluated protects nothing"
            return f"{advice}; {changes}" if changes else advice
        advice = (
            f"correct the data at its source, or change the rule in {suite} if the change is real"
        )
        return f"{advice}: {changes}" if changes else advice


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


def _write_changes(evidence: DataEvidence) -> str:
    """Return the commands that change the rules that halted, the headline's first."""
    service = evidence.service or evidence.suite
    halted = [rule for rule in evidence.rules if rule.state in ("broken", "errored")]
    halted.sort(key=lambda rule: -(rule.measured or 0.0) if rule.unit == "rows" else 0.0)
    changes = [f"`sluice expect {service} {rule.change}`" for rule in halted if rule.change]
    return ", ".join(changes[:COMMANDS]) + (
        f" and {len(changes) - COMMANDS} more: `sluice expect {service}` lists the rules"
        if len(changes) > COMMANDS
        else ""
    )


def _report_empty_suite(evidence: DataEvidence) -> Check:
    note = f"gx/expectations/{evidence.suite}.json has no expectation"
    return Check("suite", Outcome.INSUFFICIENT, measured=0, limit=1, relation=">=", note=note)


def _find_headline(checks: tuple[Check, ...], outcome: Outcome) -> Check:
    """Return the check to name first: the one that most rows broke, else the suite's first."""
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


def _write_reason(
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


def _list_notices(checks: tuple[Check, ...]) -> tuple[str, ...]:
    """Return one notice for each reason why checks were not judged, with the first names."""
    names: dict[str, list[str]] = {}
    for check in checks:
        if check.outcome is Outcome.LISTED or (check.outcome is Outcome.PASS and check.note):
            names.setdefault(check.note, []).append(check.name)
    return tuple(f"{note} ({_list_names(listed)})" for note, listed in names.items())


def _list_names(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
