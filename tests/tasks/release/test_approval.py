"""A person's decision, applied by its answer, and completed after an interruption."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from prefect import flow
from sklearn.dummy import DummyClassifier

from sluice.adapters.control.store import open_control
from sluice.adapters.registry.answers import find_version, list_waiting
from sluice.adapters.registry.client import ModelVersionRef, Registry, open_registry
from sluice.control.admission import GATES
from sluice.control.approval import Approval, ApprovalAnswer, read_request, tag_request
from sluice.home import Home
from sluice.verdict import Check, Outcome, Verdict
from support.releases.runs import artifacts_of
from support.servers.images import add_registry_database
from tasks.release.approval import (
    WAITING,
    ApprovalResult,
    confirm_approval,
    decide_approval,
    expire_approvals,
    settle_approvals,
)
from tasks.release.registration import promote_candidate
from tasks.run.state import state_failure

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]

CHECK = Check("auc floor", Outcome.PASS, 0.82, (0.81, 0.83), 0.8, ">=", "", 2412)
VERDICTS = tuple(Verdict(gate, Outcome.PASS, (CHECK,), f"{gate} holds", "") for gate in GATES)
Wait = Callable[..., ModelVersionRef]


@flow(persist_result=False, result_serializer="json")
@state_failure
def decide(
    service: str, answer: str, by: str, reason: str, version: int = WAITING
) -> ApprovalResult:
    return decide_approval(service, version, answer, by, reason)


@flow(persist_result=False, result_serializer="json")
@state_failure
def promote(service: str) -> int:
    confirm_approval(service)
    return promote_candidate(service).version


@flow(persist_result=False, result_serializer="json")
@state_failure
def expire(service: str, moment: str) -> list[ApprovalResult]:
    return expire_approvals(service, datetime.fromisoformat(moment))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("approval")
        add_registry_database(Home(root))
        patch.setenv("SLUICE_HOME", str(root))
        yield Home(root)


@pytest.fixture
def registry(home: Home) -> Registry:
    return open_registry(home)


@pytest.fixture
def service(request: pytest.FixtureRequest) -> str:
    """Return a service of the test's own, so that all tests share one state folder."""
    name, _, case = request.node.name.partition("[")
    case = "".join(letter for letter in case if letter.isalnum())
    return f"{name[5:30]}-{case}".replace("_", "-").strip("-")


@pytest.fixture
def wait(registry: Registry, service: str) -> Wait:
    """Return a function that registers a version; `hours` to its deadline, None: no approval."""
    rows = pd.DataFrame({"age": [30.0, 40.0, 50.0]})
    model = DummyClassifier().fit(rows, [0, 1, 1])

    def register(hours: float | None = 72) -> ModelVersionRef:
        run = registry.start_run(service, "a release", {"sluice.service": service})
        for item in VERDICTS:
            registry.log_json(run, f"verdicts/{item.gate}.json", item.to_dict())
        tags = {f"sluice.verdict.{item.gate}": "pass" for item in VERDICTS}
        tags |= {"sluice.release": "abc", "sluice.data.version": "0"}
        if hours is not None:
            deadline = datetime.now(UTC) + timedelta(hours=hours)
            tags |= tag_request(True, VERDICTS, deadline)
        return registry.register_model(run, service, model, rows, model.predict(rows), tags)

    return register


def request_of(home: Home, version: ModelVersionRef) -> Approval:
    """Request a decision on a version, as its release does after registering it."""
    control = open_control(home)
    control.prepare()
    request = read_request(version.service, version.version, version.tags)
    assert request is not None
    return control.approvals.request(
        version.service, version.version, request.verdict_digest, request.deadline
    )


def aliases_of(registry: Registry, service: str) -> dict[str, int]:
    found = {name: registry.find_alias(service, name) for name in ("champion", "candidate")}
    return {name: item.version for name, item in found.items() if item}


def tags_of(registry: Registry, service: str, version: int) -> dict[str, str]:
    found = find_version(registry, service, version)
    assert found is not None
    return dict(found.tags)


def test_approved_version_becomes_the_first_champion(
    registry: Registry, wait: Wait, service: str
) -> None:
    found = wait()
    assert aliases_of(registry, service) == {"candidate": 1}
    state = decide(service, "approved", "Ada", "figures hold", return_state=True)
    assert state.result() == ApprovalResult(service, 1, "approved", "champion")
    assert aliases_of(registry, service) == {"champion": 1}
    tags = tags_of(registry, service, 1)
    assert (tags["sluice.approval"], tags["sluice.approval.by"]) == ("approved", "Ada")
    [text] = registry.read_texts(found.run_id, "approval").values()
    assert json.loads(text)["reason"] == "figures hold"
    page = artifacts_of(state)[f"{service}-approval"].data
    for words in (f"# {service} v1 is approved", "| by | Ada |", "auc floor", "evaluation holds"):
        assert words in page


def test_approved_version_beside_a_champion_waits_for_promote(
    registry: Registry, wait: Wait, service: str
) -> None:
    wait(None)
    wait()
    refused = promote(service, return_state=True)
    assert refused.message.startswith(f"PromotionRefused: {service} v2 waits for a person's")
    assert decide(service, "approved", "Ada", "figures hold").alias == "candidate"
    assert aliases_of(registry, service) == {"champion": 1, "candidate": 2}
    assert promote(service) == 2
    assert aliases_of(registry, service) == {"champion": 2}


def test_refused_version_is_no_candidate_and_never_promoted(
    registry: Registry, wait: Wait, service: str
) -> None:
    wait(None)
    wait()
    state = decide(service, "refused", "Ada", "too early", return_state=True)
    assert state.result() == ApprovalResult(service, 2, "refused", "")
    assert aliases_of(registry, service) == {"champion": 1}
    assert tags_of(registry, service, 2)["sluice.approval.reason"] == "too early"
    assert "too early" in artifacts_of(state)[f"{service}-approval"].data
    refused = promote(service, return_state=True)
    assert f"{service} v2 was refused by a person; next: release again" in refused.message
    registry.store.set_alias(service, "candidate", 2)
    assert "was refused by a person" in promote(service, return_state=True).message


def test_request_without_a_decision_in_time_is_closed(
    registry: Registry, wait: Wait, service: str, home: Home
) -> None:
    found = wait(1)
    request_of(home, found)
    assert expire(service, datetime.now(UTC).isoformat()) == []
    late = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    state = expire(service, late, return_state=True)
    assert state.result() == [ApprovalResult(service, 1, "expired", "")]
    assert expire(service, late) == []
    assert aliases_of(registry, service) == {}
    assert tags_of(registry, service, 1)["sluice.approval"] == "expired"
    assert "is expired" in artifacts_of(state)[f"{service}-approval"].data
    message = decide(service, "approved", "Ada", "figures hold", return_state=True).message
    assert message.startswith(f"DecisionRefused: approval of {service} v1 is expired already")
    assert "v1 was not approved before its deadline" in promote(service, return_state=True).message


def test_late_decision_closes_the_request(wait: Wait, service: str, registry: Registry) -> None:
    wait(-1)
    state = decide(service, "approved", "Ada", "figures hold", return_state=True)
    assert state.is_failed()
    assert "is expired already" in state.message
    assert aliases_of(registry, service) == {}


def test_second_decision_is_refused_and_the_same_one_is_accepted(
    registry: Registry, wait: Wait, service: str
) -> None:
    wait()
    first = decide(service, "approved", "Ada", "figures hold")
    assert decide(service, "approved", "Ada", "figures hold ") == first
    state = decide(service, "refused", "Bob", "not so", return_state=True)
    assert "is approved already" in state.message
    assert aliases_of(registry, service) == {"champion": 1}


def test_decision_on_other_verdicts_than_shown_is_refused(
    registry: Registry, wait: Wait, service: str, home: Home
) -> None:
    found = wait()
    request_of(home, found)
    other = Verdict("bias", Outcome.PASS, (), "nothing to see", "")
    registry.log_json(found.run_id, "verdicts/bias.json", other.to_dict())
    state = decide(service, "approved", "Ada", "figures hold", return_state=True)
    assert state.message.startswith(
        f"DecisionRefused: the verdicts of {service} v1 are not those that were shown"
    )
    assert aliases_of(registry, service) == {"candidate": 1}


@pytest.mark.parametrize(
    ("by", "reason", "found"), [("  ", "so", "without a name"), ("Ada", " ", "without a reason")]
)
def test_decision_needs_a_name_and_a_reason(
    wait: Wait, service: str, by: str, reason: str, found: str
) -> None:
    wait()
    state = decide(service, "approved", by, reason, return_state=True)
    assert state.message.startswith("DecisionRefused: ")
    assert found in state.message


def test_version_without_a_request_is_not_decided(wait: Wait, service: str) -> None:
    wait(None)
    assert "no version of" in decide(service, "approved", "A", "b", return_state=True).message
    wait()
    state = decide(service, "approved", "Ada", "so", version=1, return_state=True)
    assert "no decision was requested on" in state.message
    assert "waiting for one: v2" in state.message
    assert "v9; waiting" in decide(service, "approved", "A", "b", 9, return_state=True).message


def test_newer_version_closes_the_older_request(
    registry: Registry, wait: Wait, service: str, home: Home
) -> None:
    request_of(home, wait())
    wait()
    state = decide(service, "approved", "Ada", "figures hold", version=1, return_state=True)
    assert "v1 is superseded already" in state.message
    assert aliases_of(registry, service) == {"candidate": 2}
    assert tags_of(registry, service, 1)["sluice.approval"] == "superseded"
    assert decide(service, "approved", "Ada", "figures hold").version == 2


@pytest.mark.parametrize("answer", [ApprovalAnswer.APPROVED, ApprovalAnswer.REFUSED])
def test_decision_interrupted_before_the_alias_moved_is_completed(
    registry: Registry, wait: Wait, service: str, home: Home, answer: ApprovalAnswer
) -> None:
    expected = {"champion": 1} if answer is ApprovalAnswer.APPROVED else {}
    request = request_of(home, wait())
    store = open_control(home).approvals
    store.decide(request, answer, "Ada", "so it is", datetime.now(UTC))
    assert aliases_of(registry, service) == {"candidate": 1}
    assert decide(service, answer.value, "Ada", "so it is").answer == answer.value
    assert aliases_of(registry, service) == expected


def test_next_run_completes_an_interrupted_decision(
    registry: Registry, wait: Wait, service: str, home: Home
) -> None:
    request = request_of(home, wait())
    store = open_control(home).approvals
    store.decide(request, ApprovalAnswer.REFUSED, "Ada", "so it is", datetime.now(UTC))
    assert [item.answer for item in expire(service, datetime.now(UTC).isoformat())] == ["refused"]
    assert list_waiting(registry, service) == []


def test_tag_set_by_hand_is_no_approval(
    registry: Registry, wait: Wait, service: str, home: Home
) -> None:
    wait(None)
    request_of(home, wait())
    registry.store.client().set_model_version_tag(service, "2", "sluice.approval", "approved")
    assert "v2 waits for a person's" in promote(service, return_state=True).message


def test_nothing_waits_without_requests(home: Home) -> None:
    assert settle_approvals("untouched", datetime.now(UTC)) == []
