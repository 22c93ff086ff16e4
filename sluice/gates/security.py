"""The security gate: vulnerabilities of the lock, secrets, model files, and the git tree."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from sluice.config.security.exceptions import SecurityException
from sluice.config.security.gate import SecurityConfig
from sluice.gates.finding import Finding, conclude, report_missing
from sluice.security.evidence import (
    DependencyAudit,
    ModelScan,
    SecretScan,
    SecurityEvidence,
    Vulnerability,
)
from sluice.verdict import Check, Outcome, Verdict

GATE = "security"
SHOWN = 5
"""Findings of one kind that a verdict names; the rest is counted, and kept in the evidence."""
_ADVICE_UPGRADE = (
    "raise the package's version and `make lock`, or add an exception with an end date"
)
_ADVICE_ROTATE = (
    "withdraw the secret where it is valid, and take it out of the file; a text that is no secret "
    "gets the comment `pragma: allowlist secret`"
)
_ADVICE_AUDIT = "`sluice audit`, or `sluice advisories ZIP --whole-index PyPI --date DAY`"
_ADVICE_FILE = "train again: a release writes skops, ONNX and JSON only"
_ADVICE_COMMIT = "commit the changes"


@dataclass(frozen=True)
class SecurityGate:
    """Judges what was looked up and found; `exceptions` are what persons accepted."""

    config: SecurityConfig
    exceptions: tuple[SecurityException, ...] = ()

    def judge(self, evidence: SecurityEvidence) -> Verdict:
        """Return the verdict: one finding without a valid exception is too many.

        What was not looked up is insufficient, which `on_insufficient` may turn into a note.
        """
        accepted = _Accepted(self.exceptions, evidence.now.date())
        findings = [
            *_judge_vulnerabilities(evidence.dependencies, accepted),
            *_judge_secrets(evidence.secrets, accepted),
            *_judge_model(evidence.model),
            *self._judge_tree(evidence),
            *_judge_coverage(evidence.dependencies),
            *self._judge_age(evidence.dependencies, evidence.now),
        ]
        notices = [*accepted.describe(), *filter(None, [evidence.dependencies.note])]
        if self.config.on_insufficient == "notice":
            findings, unknown = _lower(findings)
            notices = [*unknown, *notices]
        return conclude(GATE, findings, _describe_pass(evidence), notices)

    def _judge_tree(self, evidence: SecurityEvidence) -> Iterator[Finding]:
        words = f"the tree has uncommitted changes on commit {evidence.commit[:12]}"
        if not evidence.dirty:
            yield Finding(Check("git tree", Outcome.PASS, note=evidence.commit[:12]), "")
        elif self.config.clean_tree == "require":
            yield Finding(Check("git tree", Outcome.FAIL, note=words), words, _ADVICE_COMMIT)
        else:
            yield Finding(Check("git tree", Outcome.LISTED, note=words), words)

    def _judge_age(self, audit: DependencyAudit, now: datetime) -> Iterator[Finding]:
        if audit.missing:
            return
        limit, name = self.config.advisories.maximum_age_days, "age of the advisories"
        if audit.date is None:
            words = f"{audit.source}: it is unknown of which day its advisories are"
            yield report_missing(name, words, _ADVICE_AUDIT)
            return
        days = (now - audit.date).total_seconds() / 86_400
        check = Check(name, Outcome.PASS, days, limit=limit, relation="<=", unit="days")
        if days > limit:
            words = f"{audit.source} is of {_name_day(audit.date)}, {days:.0f} days old"
            check = replace(check, outcome=Outcome.INSUFFICIENT, note=words)
            yield Finding(check, f"{words}, limit {limit:g}", _ADVICE_AUDIT)
        elif days < -1:
            words = f"{audit.source} is of {_name_day(audit.date)}, which is yet to come"
            yield report_missing(name, words, _ADVICE_AUDIT)
        else:
            yield Finding(check, "")


class _Accepted:
    """The exceptions that hold today, those that ended, and which of both were needed."""

    def __init__(self, exceptions: Sequence[SecurityException], today: date) -> None:
        self._all, self._today = exceptions, today
        self._used: set[SecurityException] = set()

    def find(self, ids: Sequence[str], package: str = "") -> SecurityException | None:
        """Return the exception to a finding, even one that ended; the one that ends last."""
        known = {item.upper() for item in ids}
        fitting = [
            item
            for item in self._all
            if item.id.upper() in known and (not item.package or item.package == package)
        ]
        found = max(fitting, key=lambda item: item.until, default=None)
        self._used |= {found} if found else set()
        return found

    def holds(self, exception: SecurityException | None) -> bool:
        """Return whether an exception holds today."""
        return exception is not None and self._today <= exception.until

    def describe(self) -> Iterator[str]:
        for item in self._all:
            about = f"{item.id}{f' ({item.package})' if item.package else ''}"
            if item not in self._used:
                yield f"the exception {about} matches nothing: take it out of exceptions.yaml"
            elif self.holds(item):
                yield f"accepted until {item.until}: {about}: {item.reason}"


def _judge_vulnerabilities(audit: DependencyAudit, accepted: _Accepted) -> Iterator[Finding]:
    open_ones = []
    for item in audit.vulnerabilities:
        exception = accepted.find(item.ids, item.package)
        if not accepted.holds(exception):
            open_ones.append(_name_vulnerability(item) + _name_end(exception))
    if open_ones:
        words = _join(open_ones, "vulnerabilities")
        check = _count("known vulnerabilities", len(open_ones), audit.packages, words)
        yield Finding(check, words, _ADVICE_UPGRADE)
    elif not audit.missing:
        yield Finding(_count("known vulnerabilities", 0, audit.packages), "")


def _judge_coverage(audit: DependencyAudit) -> Iterator[Finding]:
    """Judge whether every locked package was looked up: one that was not is never clean."""
    name = "packages looked up"
    if audit.missing:
        words = f"no package was looked up: {audit.missing}"
        yield report_missing(name, words, _ADVICE_AUDIT)
        return
    unknown = dict(audit.unaudited or {})
    done = audit.packages - len(unknown)
    if not unknown and done:
        note = audit.source
        yield Finding(
            Check(name, Outcome.PASS, float(done), limit=float(done), relation=">=", note=note), ""
        )
        return
    named = [f"{package} ({reason})" for package, reason in sorted(unknown.items())]
    words = f"{audit.source}: {len(unknown)} of {audit.packages} packages were not looked up"
    words = f"{words}: {_join(named, 'packages')}" if named else f"{audit.source}: no package"
    check = Check(
        name,
        Outcome.INSUFFICIENT,
        float(done),
        limit=float(audit.packages),
        relation=">=",
        note=words,
    )
    yield Finding(check, words, _ADVICE_AUDIT)


def _judge_secrets(scan: SecretScan, accepted: _Accepted) -> Iterator[Finding]:
    if scan.missing:
        yield report_missing("secrets", f"nothing was searched: {scan.missing}", "run it again")
        return
    open_ones = []
    for item in scan.findings:
        exception = accepted.find((item.id,))
        if not accepted.holds(exception):
            place = f"{item.file}:{item.line} ({item.detector}, {item.id})"
            open_ones.append(place + _name_end(exception))
    words = f"secrets in the files: {_join(open_ones, 'secrets')}" if open_ones else ""
    if scan.allowed and not words:
        words = f"{scan.allowed} allowed by a comment in their line"
    check = _count("secrets", len(open_ones), scan.files, words)
    yield Finding(check, words, _ADVICE_ROTATE)
    if scan.skipped:
        words = f"too large to be searched: {_join(list(scan.skipped), 'files')}"
        yield report_missing("secrets: files", words, "raise secrets.largest_file or exclude them")


def _judge_model(scan: ModelScan | None) -> Iterator[Finding]:
    if scan is None:
        return
    if scan.missing or not scan.files:
        words = scan.missing or "the model has no file"
        yield report_missing("model files", f"not examined: {words}", _ADVICE_FILE)
        return
    problems = [f"{item.file}: {item.words}" for item in scan.problems]
    words = f"model file {_join(problems, 'problems')}" if problems else ""
    check = _count("unsafe model files", len(problems), len(scan.files), words)
    yield Finding(check, words, _ADVICE_FILE)


def _lower(findings: Sequence[Finding]) -> tuple[list[Finding], list[str]]:
    """Return the findings with those that cannot be decided as listed ones, and their sentences."""
    open_ones = [item for item in findings if item.outcome is Outcome.INSUFFICIENT]
    listed = [
        replace(item, check=replace(item.check, outcome=Outcome.LISTED))
        if item in open_ones
        else item
        for item in findings
    ]
    return listed, [f"{item.sentence}; next: {item.advice}" for item in open_ones]


def _count(name: str, found: int, n: int, note: str = "") -> Check:
    outcome = Outcome.FAIL if found else Outcome.PASS
    return Check(name, outcome, float(found), limit=0.0, relation="<=", n=n, note=note)


def _name_vulnerability(item: Vulnerability) -> str:
    repair = f"repaired by {', '.join(item.fixed)}" if item.fixed else "no version repairs it"
    return f"{item.package} {item.version} has {' = '.join(item.ids[:2])} ({repair})"


def _name_end(exception: SecurityException | None) -> str:
    """Say of a finding that its exception ended; empty where it has none."""
    return f", whose exception ended on {exception.until}" if exception else ""


def _name_day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d}"


def _join(found: Sequence[str], what: str) -> str:
    rest = len(found) - SHOWN
    return "; ".join(found[:SHOWN]) + (f"; and {rest} {what} more" if rest > 0 else "")


def _describe_pass(evidence: SecurityEvidence) -> str:
    audit, scan = evidence.dependencies, evidence.secrets
    looked = (
        "dependencies not looked up"
        if audit.missing
        else f"{audit.packages - len(audit.unaudited or {})} of {audit.packages} packages looked up"
    )
    model = "" if evidence.model is None else f", {len(evidence.model.files)} model files are safe"
    return f"{looked}, no open vulnerability; no secret in {scan.files:,} files{model}"
