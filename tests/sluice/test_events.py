"""Every event that the code emits has a text for people, and no other has."""

import re

from sluice.control.approval import ApprovalAnswer
from sluice.events import EVENTS, SERVICE_EVENTS, expand_event
from sluice.home import PROJECT
from sluice.monitoring.alerts import ChangeKind

ABOUT = (
    "data|prompt|gate|candidate|approval|rollout|reproduction|retraining|traffic|performance|drift"
    "|cost|experiment"
)
NAME = re.compile(rf'"((?:{ABOUT})\.[a-z-]+)"')
COMPOSED = {
    *(f"approval.{item.value}" for item in ApprovalAnswer if item is not ApprovalAnswer.PENDING),
    *(f"alert.{item.value}" for item in ChangeKind),
}
"""Events whose names the code puts together."""


def test_table_has_the_events_of_the_code() -> None:
    files = [path for room in ("tasks", "flows") for path in (PROJECT / room).rglob("*.py")]
    files.append(PROJECT / "sluice/control/cause.py")
    files.append(PROJECT / "sluice/drift/performance/windows.py")
    emitted = {name for path in files for name in NAME.findall(path.read_text(encoding="utf-8"))}
    assert emitted | COMPOSED == set(SERVICE_EVENTS)


def test_pattern_names_all_that_begin_so() -> None:
    assert expand_event("gate.*") == ["gate.passed", "gate.failed", "gate.undecided"]
    assert expand_event("gate.failed") == ["gate.failed"]
    assert expand_event("gate") == expand_event("*") == expand_event("nothing.*") == []
    assert all(expand_event(name) == [name] for name in EVENTS)


def test_page_has_a_row_for_each_event() -> None:
    page = (PROJECT / "docs/reference/events.md").read_text(encoding="utf-8")
    table = page.partition("## Events")[2]
    assert re.findall(r"(?m)^\| `([a-z.-]+)` \| [^|]+ \| [^|]+ \|$", table) == list(EVENTS)


def test_no_hint_has_a_placeholder_for_the_service_that_it_is_about() -> None:
    hints = {name: text.message + text.next_step for name, text in EVENTS.items()}
    assert [name for name, hint in hints.items() if re.search(r"\bSERVICE\b", hint)] == []
