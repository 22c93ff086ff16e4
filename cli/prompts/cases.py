"""The command on answers with bad feedback: prompt cases."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.output import say, show_rows
from cli.prompts.prompt import Name, prompt
from sluice.errors import CommandRefused
from sluice.home import find_home

if TYPE_CHECKING:
    from sluice.prompts.live.candidates import CaseCandidate

LETTERS = 60


@prompt.command()
def cases(
    name: Name,
    action: Annotated[
        Literal["list", "accept", "drop"], typer.Argument(help="What to do with a candidate.")
    ] = "list",
    request: Annotated[str, typer.Argument(help="Request id of the candidate.")] = "",
    expected: Annotated[
        str, typer.Option(help="The right answer; else the caller's correction.")
    ] = "",
    by: Annotated[str, typer.Option(help="Your name, as it stays on record.")] = "",
    reason: Annotated[str, typer.Option(help="Your reason, in a sentence.")] = "",
) -> None:
    """List answers with bad feedback, and accept one into the evaluation set, or drop it."""
    from tasks.prompts.live import cases as tasks

    check_request(name, action, request)
    if action == "list":
        show_candidates(name, tasks.list_candidates(name, find_home()))
        return
    if action == "drop":
        tasks.drop_case(name, request, find_home(), (by, reason))
        say(f"{name}: {request} is dropped by {by}; it is not offered again")
        return
    done = tasks.accept_case(name, request, find_home(), (by, reason), expected or None)
    say(f"{done.path}:{done.line}: {request} is a case now, accepted by {by}")
    say(
        f"the set's identity changes from {done.before[:12]} to {done.after[:12]}: the next "
        "evaluation asks every version about the new case, and starts a release of the wished one"
    )
    if not done.has_reference:
        say("it has no reference: criteria that compare with one leave it out; see --expected")


def check_request(name: str, action: str, request: str) -> None:
    """Check that a candidate is named where one is needed, and only there.

    Raises:
        CommandRefused: it is missing, or there is one for the list.
    """
    if action == "list" and request:
        raise CommandRefused(f"request: found '{request}'; allowed: with accept or drop")
    if action != "list" and not request:
        raise CommandRefused(f"request: found nothing; next: sluice prompt cases {name}")


def show_candidates(name: str, found: "list[CaseCandidate]") -> None:
    """Print the candidates; their texts are masked."""
    if not found:
        say(f"{name}: no answer with bad feedback waits")
        return
    rows = [
        {
            "request": item.request_id,
            "answered": f"{datetime.fromtimestamp(item.at, UTC):%Y-%m-%d %H:%M}",
            "version": f"v{item.version}",
            "rating": "" if item.rating is None else f"{item.rating:g}",
            "input": _shorten(item.input if isinstance(item.input, str) else dict(item.input)),
            "answer": _shorten(item.answer),
            "correction": _shorten(item.correction or ""),
            "masked": ", ".join(item.masked),
        }
        for item in found
    ]
    show_rows(f"{name}: answers with bad feedback (times in UTC)", rows)
    say(f"next: sluice prompt cases {name} accept REQUEST --by NAME --reason WORDS, or drop")


def _shorten(given: str | dict[str, str]) -> str:
    text = given if isinstance(given, str) else "; ".join(given.values())
    plain = " ".join(text.split())
    return plain if len(plain) <= LETTERS else f"{plain[: LETTERS - 3]}..."
