"""The security gate passes the clean, names what was planted, and says what is unknown."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from sluice.config.security.exceptions import SecurityException
from sluice.config.security.gate import SecurityConfig, load_security
from sluice.gates.security import SecurityGate
from sluice.security.evidence import (
    DependencyAudit,
    FileProblem,
    ModelScan,
    SecretFinding,
    SecretScan,
    SecurityEvidence,
    Vulnerability,
)
from sluice.verdict import Outcome, Verdict

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
AUDIT = DependencyAudit("PyPI's advisories", NOW, 259, (), {})
VULNERABLE = Vulnerability("requests", "2.19.0", ("PYSEC-2018-28", "CVE-2018-18074"), ("2.20.0",))
SECRETS = SecretScan(1600)
LEAK = SecretFinding("SECRET-0123456789ab", "AWSKeyDetector", "configs/shop.yaml", 7)
MODEL = ModelScan(("model.skops", "serving/serving.onnx"), 1000)
GOOD = SecurityEvidence(AUDIT, SECRETS, MODEL, "c" * 40, False, NOW)
STRICT = SecurityConfig(clean_tree="require")


def judge(evidence: SecurityEvidence, config: SecurityConfig = STRICT, *accepted: Any) -> Verdict:
    return SecurityGate(config, accepted).judge(evidence)


def accept(finding: str, until: date, **facts: str) -> SecurityException:
    return SecurityException(id=finding, reason="No part of Sluice calls it.", until=until, **facts)


def with_audit(**facts: Any) -> SecurityEvidence:
    return replace(GOOD, dependencies=replace(AUDIT, **facts))


PLANTED = {
    "vulnerability": (
        with_audit(vulnerabilities=(VULNERABLE,)),
        "requests 2.19.0 has PYSEC-2018-28 = CVE-2018-18074 (repaired by 2.20.0)",
    ),
    "secret": (
        replace(GOOD, secrets=replace(SECRETS, findings=(LEAK,))),
        "secrets in the files: configs/shop.yaml:7 (AWSKeyDetector, SECRET-0123456789ab)",
    ),
    "pickle": (
        replace(GOOD, model=replace(MODEL, problems=(FileProblem("model.pkl", "it is a pickle"),))),
        "model file model.pkl: it is a pickle",
    ),
    "dirty tree": (replace(GOOD, dirty=True), "the tree has uncommitted changes on commit cccccc"),
}
UNKNOWN = {
    "no audit": (
        with_audit(missing="PyPI's advisories was not asked yet"),
        "no package was looked up: PyPI's advisories was not asked yet",
    ),
    "a package that the service does not know": (
        with_audit(unaudited={"ours": "not found on PyPI"}),
        "PyPI's advisories: 1 of 259 packages were not looked up: ours (not found on PyPI)",
    ),
    "an old snapshot": (
        with_audit(date=NOW - timedelta(days=9), source="the snapshot"),
        "the snapshot is of 2026-11-22, 9 days old, limit 7",
    ),
    "a snapshot without a day": (with_audit(date=None), "it is unknown of which day"),
    "a snapshot of tomorrow's tomorrow": (
        with_audit(date=NOW + timedelta(days=2)),
        "is of 2026-12-03, which is yet to come",
    ),
    "no package": (with_audit(packages=0), "no package"),
    "nothing was searched": (
        replace(GOOD, secrets=SecretScan(missing="the disk is away")),
        "nothing was searched: the disk is away",
    ),
    "a large file": (
        replace(GOOD, secrets=replace(SECRETS, skipped=("big.csv",))),
        "too large to be searched: big.csv",
    ),
    "no model file": (replace(GOOD, model=ModelScan()), "not examined: the model has no file"),
}


def test_the_clean_pass() -> None:
    verdict = judge(GOOD)
    assert verdict.passed
    assert verdict.reason == (
        "259 of 259 packages looked up, no open vulnerability; no secret in 1,600 files, "
        "2 model files are safe"
    )
    assert verdict.notices == ()


def test_a_prompt_has_no_model_file() -> None:
    verdict = judge(replace(GOOD, model=None))
    assert verdict.passed
    assert "unsafe model files" not in {check.name for check in verdict.checks}


@pytest.mark.parametrize("name", PLANTED)
@pytest.mark.parametrize("missing", ["halt", "notice"])
def test_what_was_planted_halts_and_is_named(name: str, missing: Any) -> None:
    evidence, words = PLANTED[name]
    verdict = judge(evidence, STRICT.model_copy(update={"on_insufficient": missing}))
    assert verdict.outcome is Outcome.FAIL
    assert words in verdict.reason
    assert verdict.next_step


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_unknown_halts(name: str) -> None:
    evidence, words = UNKNOWN[name]
    verdict = judge(evidence)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert words in verdict.reason


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_unknown_is_a_note_in_development(name: str) -> None:
    evidence, words = UNKNOWN[name]
    verdict = judge(evidence, load_security("development"))
    assert verdict.passed
    assert words in verdict.notices[0]


def test_a_changed_tree_is_listed_in_development() -> None:
    verdict = judge(replace(GOOD, dirty=True), load_security("development"))
    assert verdict.passed
    tree = next(check for check in verdict.checks if check.name == "git tree")
    assert tree.outcome is Outcome.LISTED


@pytest.mark.parametrize(
    ("environment", "missing", "tree", "signatures"),
    [
        ("development", "notice", "notice", "require"),
        ("production", "halt", "require", "require"),
        ("staging", "halt", "notice", "require"),
    ],
)
def test_environments_differ_in_what_missing_evidence_means(
    environment: str, missing: str, tree: str, signatures: str
) -> None:
    config = load_security(environment)
    assert (config.on_insufficient, config.clean_tree) == (missing, tree)
    assert config.signatures == signatures


@pytest.mark.parametrize("known", ["PYSEC-2018-28", "cve-2018-18074"])
def test_an_exception_lets_a_vulnerability_pass_until_its_last_day(known: str) -> None:
    evidence = with_audit(vulnerabilities=(VULNERABLE,))
    verdict = judge(evidence, STRICT, accept(known, NOW.date(), package="requests"))
    assert verdict.passed
    assert verdict.notices == (
        f"accepted until 2026-12-01: {known} (requests): No part of Sluice calls it.",
    )


def test_an_exception_that_ended_is_named() -> None:
    evidence = with_audit(vulnerabilities=(VULNERABLE,))
    verdict = judge(evidence, STRICT, accept("CVE-2018-18074", date(2026, 11, 30)))
    assert verdict.outcome is Outcome.FAIL
    assert "(repaired by 2.20.0), whose exception ended on 2026-11-30" in verdict.reason


def test_an_exception_for_a_secret() -> None:
    evidence = replace(GOOD, secrets=replace(SECRETS, findings=(LEAK,)))
    assert judge(evidence, STRICT, accept(LEAK.id, date(2027, 1, 1))).passed
    assert not judge(evidence, STRICT, accept("SECRET-other", date(2027, 1, 1))).passed


def test_an_exception_of_another_package_counts_not() -> None:
    evidence = with_audit(vulnerabilities=(VULNERABLE,))
    other = accept("CVE-2018-18074", date(2027, 1, 1), package="urllib3")
    verdict = judge(evidence, STRICT, other)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.notices == (
        "the exception CVE-2018-18074 (urllib3) matches nothing: take it out of exceptions.yaml",
    )


def test_many_findings_are_counted() -> None:
    many = tuple(replace(VULNERABLE, package=f"p{number}") for number in range(8))
    verdict = judge(with_audit(vulnerabilities=many))
    assert "and 3 vulnerabilities more" in verdict.reason
    check = next(item for item in verdict.checks if item.name == "known vulnerabilities")
    assert (check.measured, check.n) == (8.0, 259)


def test_a_failed_look_up_since_is_told() -> None:
    verdict = judge(with_audit(note="asked again without an answer"))
    assert verdict.passed
    assert verdict.notices == ("asked again without an answer",)
