"""Each event reaches each receiver once, whatever was deployed before; a lost one shows."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect import flow

from sluice.config.deployments import read_deployments
from sluice.errors import ConfigInvalid
from sluice.events import EVENTS
from sluice.home import Home
from sluice.verdict import Outcome, Verdict
from support.servers.images import add_registry_database
from support.servers.receiver import MailServer, Receiver, run_mail_server, run_receiver
from support.servers.stack import ask, await_answer, deploy, find_deployments, find_runs, remove_all

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated"),  # Apprise imports it
]
SERVICE = "watched"
LAST = "rollout.aborted"
SECONDS = 120.0
TEN = [
    *("gate.failed", "rollout.started", "rollout.held", "rollout.frozen", "rollout.paused"),
    *("rollout.thawed", "rollout.rolled-back", "rollout.promoted", "rollout.conflict"),
    "approval.requested",
]
FILE = """\
deployments:
  - name: promote
    entrypoint: flows.promote.promote
    work_pool: {name: sluice}
    tags: [sluice]
  - name: notice
    entrypoint: flows.notice.notice
    work_pool: {name: sluice}
    tags: [sluice]
    triggers:
      - name: notice on a failed trigger
        match: {prefect.resource.id: "prefect.automation.*"}
        expect: [prefect.automation.action.failed]
        parameters:
          automation: "{{ event.resource['prefect.resource.name'] | string }}"
          reason: "{{ event.payload.reason | string }}"
notifications:
  - name: everything
    kind: webhook
    url: {env: EVERYTHING_URL}
    headers: {Authorization: {env: EVERYTHING_TOKEN}}
    format: json
    events: [gate.failed, rollout.*, approval.*, run.failed, trigger.failed]
  - name: another-service
    kind: webhook
    url: {env: EVERYTHING_URL}
    events: [gate.failed, rollout.*]
    format: json
    services: [earnings]
  - name: second
    kind: webhook
    url: {env: SECOND_URL}
    events: [gate.failed, rollout.*, approval.*]
    title_key: ""
    text_key: content
"""
MAIL = """\
  - name: mail
    kind: email
    host: 127.0.0.1
    port: PORT
    security: none
    sender: sluice@example.org
    to: [ada@example.org]
    events: [rollout.rollback]
"""


def apply(file: Path, prune: bool = False) -> list[str]:
    """Apply a file's notifications alone, which takes less time; return what was reported."""
    from tasks.deploy.notifications import apply_notifications, check_notifications, settle_left

    said: list[str] = []
    wanted = check_notifications(file, read_deployments(file))
    ask(lambda client: apply_notifications(client, wanted, ["promote", "notice"], said.append))
    ask(lambda client: settle_left(client, wanted, said.append, prune))
    return said


def flush() -> None:
    from prefect.events.worker import EventsWorker

    EventsWorker.drain_all(timeout=30)


def emit(*events: str, service: str = SERVICE, **payload: Any) -> None:
    from tasks.run.events import publish_event

    for event in events:
        publish_event(service, event, {"version": 5, **payload})
    flush()


def automations() -> dict[str, Any]:
    """Return the server's automations that are notifications, by name."""
    found = ask(lambda client: client.read_automations())
    names = [item.name for item in found if "notification" in item.tags]
    assert len(names) == len(set(names))
    return {item.name: item for item in found if "notification" in item.tags}


def read(receiver: Receiver, service: str = SERVICE) -> list[dict[str, Any]]:
    """Return what `everything` received about a service."""
    found = [json.loads(item["text"]) for item in receiver.of("everything")]
    return [item for item in found if item["service"] == service]


def read_words(receiver: Receiver, path: str) -> list[str]:
    """Return what a person received about our service."""
    found = [item["content"] for item in receiver.of(path)]
    return [item for item in found if item.startswith(SERVICE)]


def await_all(question: Callable[[], list[Any]], least: int = 0) -> list[Any]:
    """Wait for `least` messages and for one that is sent after them, and return all but that.

    Messages may come in another order than they were sent in: one that has to come is waited
    for. The one more is for those that should not come: they would have had the time.
    """

    def read_wanted() -> list[Any]:
        return [item for item in question() if "aborted" not in str(item)]

    def count_last() -> int:
        return len(question()) - len(read_wanted())

    assert await_answer(lambda: len(read_wanted()) >= least, SECONDS)
    before = count_last()
    emit(LAST)
    assert await_answer(lambda: count_last() > before, SECONDS)
    return read_wanted()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """A slow receiver, so that calls overlap."""
    with run_receiver(seconds=0.3) as receiver:
        yield receiver


@pytest.fixture(scope="module")
def mail_server() -> Iterator[MailServer]:
    with run_mail_server() as server:
        yield server


@pytest.fixture(scope="module")
def file(
    api: str,
    receiver: Receiver,
    mail_server: MailServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """A deployments file whose secrets are in the environment; all of it is removed at the end."""
    root = tmp_path_factory.mktemp("notifications")
    file = root / "deployments.yaml"
    file.write_text(FILE + MAIL.replace("PORT", str(mail_server.port)), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLUICE_HOME", str(add_registry_database(Home(root / "home")).root))
        patch.setenv("EVERYTHING_URL", receiver.url("everything"))
        patch.setenv("EVERYTHING_TOKEN", "Bearer abc")
        patch.setenv("SECOND_URL", receiver.url("second"))
        yield file


@pytest.fixture(scope="module")
def lines(file: Path) -> Iterator[list[list[str]]]:
    """What `sluice deploy` said of notifications, the first and the second time."""
    try:
        said = [[line for line in deploy(file) if "notification" in line] for _ in range(2)]
        yield said
    finally:
        remove_all()


def test_missing_secret_changes_nothing_on_the_server(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs before the file is deployed."""
    monkeypatch.delenv("SECOND_URL")
    with pytest.raises(ConfigInvalid, match="SECOND_URL is not set"):
        deploy(file)
    assert find_deployments() == {}
    assert automations() == {}


def test_deploy_reports_what_it_created_and_that_nothing_changed(lines: list[list[str]]) -> None:
    names = ["everything' (webhook)", "another-service' (webhook)", "second' (webhook)"]
    names.append("mail' (email)")
    assert lines[0] == [f"notification '{name} created" for name in names]
    assert lines[1] == [f"notification '{name} unchanged" for name in names]


def test_ten_events_arrive_once_each_after_two_deploys(
    lines: list[list[str]], receiver: Receiver
) -> None:
    emit(*TEN)
    received = await_all(lambda: read(receiver), len(TEN))
    assert sorted(item["event"] for item in received) == sorted(TEN)
    assert len({item["id"] for item in received}) == len(TEN)
    assert len(await_all(lambda: read_words(receiver, "second"), len(TEN))) == len(TEN)
    assert all(
        item.headers["Authorization"] == "Bearer abc"
        for item in receiver.received
        if item.path == "/everything"
    )


@pytest.fixture(scope="module")
def halted(lines: list[list[str]], receiver: Receiver) -> tuple[str, dict[str, Any]]:
    """A run that a gate halted, and what the receiver got about it."""
    from prefect.runtime import flow_run

    from tasks.run.gates import pass_gate
    from tasks.run.state import state_failure

    runs: list[str] = []

    @flow(name="halted", persist_result=False)
    @state_failure
    def halt() -> None:
        runs.append(str(flow_run.id))
        reason = 'accuracy 0.5 < 0.9 in "north" & <south>'
        pass_gate(Verdict("evaluation", Outcome.FAIL, (), reason, "train on more rows"), "halted")

    assert halt(return_state=True).is_failed()
    flush()
    found = await_answer(lambda: read(receiver, "halted"), SECONDS)
    return runs[0], found[0]


def test_message_has_the_fact_the_reason_the_next_step_and_a_link(
    halted: tuple[str, dict[str, Any]],
) -> None:
    run, received = halted
    assert received["title"] == "halted: halted by the evaluation gate"
    assert received["reason"] == 'accuracy 0.5 < 0.9 in "north" & <south>'
    assert received["next"] == "train on more rows; then: `sluice release halted`"
    assert received["run"].endswith(f"/runs/flow-run/{run}")
    assert received["details"]["outcome"] == "fail"
    assert received["version"] is None


def test_mail_arrives_through_the_server(lines: list[list[str]], mail_server: MailServer) -> None:
    emit("rollout.rollback", by="Ada", reason="complaints")
    assert await_answer(lambda: mail_server.mails, SECONDS)
    ((_, mail),) = mail_server.mails
    assert mail["Subject"] == "watched v5: champion again by Ada"
    body = mail.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert body.decode().startswith("complaints\nrollout.rollback at ")


def test_failed_run_of_a_deployed_flow_is_reported_and_no_other(
    halted: tuple[str, dict[str, Any]], receiver: Receiver
) -> None:
    """Neither a flow that the file does not deploy, nor `notice`, which would be a loop."""
    from flows.notice import notice
    from flows.promote import promote

    assert notice("some trigger", "some reason", return_state=True).is_failed()
    assert promote("earnings", return_state=True).is_failed()
    flush()

    assert await_answer(lambda: read(receiver, "earnings"), SECONDS)
    await_all(lambda: read(receiver))
    texts = [json.loads(item["text"]) for item in receiver.of("everything")]
    (received,) = (item for item in texts if item["event"] == "run.failed")
    assert received["title"] == "earnings: promote failed"
    assert received["reason"].startswith("PromotionRefused: ")
    assert "/runs/flow-run/" in received["run"]


def test_event_emitted_while_the_receiver_is_down_is_lost_and_shown(
    lines: list[list[str]], receiver: Receiver, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not sent again; `notice` reports it once, and the receivers get neither."""
    before = len(receiver.of("everything"))
    with run_receiver() as gone:
        url = gone.url("second")
    monkeypatch.setenv("SECOND_URL", url)
    assert "notification 'second' (webhook) changed" in apply(file)
    notice = find_deployments()["notice/notice"]
    emit("rollout.held")
    (run,) = await_answer(lambda: find_runs(notice), SECONDS)
    assert run.parameters["automation"] == "notification second"
    assert "Notification failed" in run.parameters["reason"]
    with run_receiver(port=gone.port) as back:
        assert await_all(lambda: read_words(back, "second")) == []
        await_all(lambda: receiver.of("everything")[before:], 1)
    events = [json.loads(item["text"])["event"] for item in receiver.of("everything")[before:]]
    assert set(events) == {LAST, "rollout.held"}
    assert events.count("rollout.held") == 1
    assert len(find_runs(notice)) == 1


def test_changed_secret_moves_to_the_new_address(
    lines: list[list[str]], receiver: Receiver, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = automations()["notification second"].id
    monkeypatch.setenv("SECOND_URL", receiver.url("moved"))
    said = apply(file)
    assert "notification 'second' (webhook) changed" in said
    assert "notification 'everything' (webhook) unchanged" in said
    before = len(receiver.of("second"))
    emit("rollout.held", reason="errors 1.2 %")
    (words,) = await_all(lambda: read_words(receiver, "moved"), 1)
    lines_of = words.splitlines()
    assert lines_of[:3] == [
        "watched v5: the rollout holds at its stage's max, without enough evidence",
        "errors 1.2 %",
        f"Next: {EVENTS['rollout.held'].next_step.replace('{{ service }}', 'watched')}",
    ]
    assert lines_of[3].startswith("rollout.held at 2")
    assert len(receiver.of("second")) == before
    assert automations()["notification second"].id == identity


def test_notification_switched_off_by_hand_is_on_again_and_that_is_reported(
    lines: list[list[str]], file: Path
) -> None:
    found = automations()["notification everything"]
    ask(lambda client: client.pause_automation(found.id))
    said = apply(file)
    assert any(line.startswith("notification everything was switched off") for line in said)
    assert automations()["notification everything"].enabled


def test_what_left_the_file_is_named_and_pruned(lines: list[list[str]], file: Path) -> None:
    assert len(automations()) == 6
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(", run.failed, trigger.failed", ""), encoding="utf-8")
    text = file.read_text(encoding="utf-8")
    start, end = text.index("  - name: another-service"), text.index("  - name: second")
    file.write_text(text[:start] + text[end:], encoding="utf-8")
    left = "notification 'another-service' is on the server and left the file"
    assert any(line.startswith(left) for line in apply(file))
    assert sorted(automations()) == [
        f"notification {name}" for name in ("another-service", "everything", "mail", "second")
    ]
    said = deploy(file, prune=True)
    assert "removed notification 'another-service', which left the file" in said
    assert "notification another-service" not in automations()
    blocks = ask(lambda client: client.read_block_documents())
    assert sorted(item.name for item in blocks if item.name.startswith("sluice-")) == [
        f"sluice-{name}" for name in ("everything", "mail", "second")
    ]
