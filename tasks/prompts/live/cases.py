"""Answers with bad feedback become cases of the evaluation set, once a person accepts them."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sluice.adapters.control.commands import require_reason
from sluice.adapters.jsonl_file import read_rows, write_rows
from sluice.adapters.storage import PUBLIC, explain_os_error, write_whole
from sluice.adapters.traffic.candidates import read_candidates
from sluice.home import PROMPTS, Home
from sluice.prompts.cases import check_cases
from sluice.prompts.folder import load_prompt
from sluice.prompts.live.candidates import (
    CaseCandidate,
    CaseDecision,
    add_case,
    find_candidate,
    write_line,
)


@dataclass(frozen=True)
class AcceptedCase:
    """A case that was accepted: its file and line, and the set's identity before and after."""

    path: Path
    line: int
    before: str
    after: str
    has_reference: bool


def list_candidates(prompt: str, home: Home, root: Path = PROMPTS) -> list[CaseCandidate]:
    """Return the answers with bad feedback that nobody has decided on, newest first.

    Raises:
        PromptInvalid: there is no such prompt, or a file is not valid.
        DataUnavailable: a table cannot be reached.
    """
    known = {case.key for case in load_prompt(prompt, root).eval_set.cases}
    decided = {item.request_id for item in read_rows(home.case_decisions(prompt), CaseDecision)}
    return [
        item
        for item in read_candidates(home, prompt)
        if item.request_id not in decided and item.to_case().key not in known
    ]


def accept_case(
    prompt: str,
    request_id: str,
    home: Home,
    decision: tuple[str, str],
    expected: str | None = None,
    root: Path = PROMPTS,
) -> AcceptedCase:
    """Write a candidate into the evaluation set, whole or not at all; `decision`: who and why.

    Raises:
        CommandRefused: no candidate has this id, the set has its input already, or name or reason
            are missing.
        PromptInvalid: the prompt's files are not valid, or the case does not fit a version.
        DataUnavailable: a table or a file cannot be reached.
        StorageFull: there is no room.
    """
    require_reason("accept", *decision)
    find_candidate(list_candidates(prompt, home, root), request_id)
    with _hold(home, prompt):
        candidate = find_candidate(list_candidates(prompt, home, root), request_id)
        found, case = load_prompt(prompt, root), candidate.to_case(expected)
        before = found.eval_set
        after = add_case(before, case)
        for version in found.versions.values():
            check_cases(version, after)
        text = before.path.read_text(encoding="utf-8")
        gap = "" if not text or text.endswith("\n") else "\n"
        try:
            write_whole({before.path: f"{text}{gap}{write_line(case)}"}, PUBLIC)
        except OSError as error:
            raise explain_os_error(error, str(before.path)) from error
        _note(home, prompt, request_id, decision, after.identity)
    line = text.count("\n") + bool(gap) + 1
    has_reference = case.expected is not None
    return AcceptedCase(before.path, line, before.identity, after.identity, has_reference)


def drop_case(
    prompt: str, request_id: str, home: Home, decision: tuple[str, str], root: Path = PROMPTS
) -> None:
    """Note that a candidate shall be no case; it is not offered again.

    Raises:
        CommandRefused: no candidate has this id, or name or reason are missing.
        PromptInvalid: the prompt's files are not valid.
        DataUnavailable: a table or a file cannot be reached.
        StorageFull: there is no room.
    """
    require_reason("drop", *decision)
    find_candidate(list_candidates(prompt, home, root), request_id)
    with _hold(home, prompt):
        find_candidate(list_candidates(prompt, home, root), request_id)
        _note(home, prompt, request_id, decision)


def _note(
    home: Home, prompt: str, request_id: str, decision: tuple[str, str], identity: str = ""
) -> None:
    """Keep a decision; with the identity of the set it is an acceptance."""
    place, (by, reason) = home.case_decisions(prompt), decision
    made = CaseDecision(
        request_id=request_id,
        action="accept" if identity else "drop",
        by=by.strip(),
        reason=reason.strip(),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        eval_set=identity,
    )
    write_rows(place, [*read_rows(place, CaseDecision), made])


@contextmanager
def _hold(home: Home, prompt: str) -> Iterator[None]:
    """Let one person at a time decide on a prompt's candidates: a file is read, then replaced."""
    place = home.case_decisions(prompt).with_suffix(".lock")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        file = place.open("a")
    except OSError as error:
        raise explain_os_error(error, str(place)) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
