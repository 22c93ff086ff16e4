"""The cause of a retraining as an event tells it; events come from other programs too."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sluice.control.retraining import (
    ALERT,
    CLOSING,
    DRIFT,
    EVENTS,
    OPENING,
    PERFORMANCE,
    SCHEDULE,
    RetrainingCause,
)
from sluice.documents import DocumentInvalid, parse_json
from sluice.errors import CauseInvalid

SUBJECTS = {PERFORMANCE: "metric", DRIFT: "kind", ALERT: "rule"}
"""The key of a payload that names what an event is about."""
TEXT = "json"
"""The key under which a trigger gives a payload as text."""
MOST_FEATURES = 3
MOST_LETTERS = 120
"""Most characters of a reason that an event gives; it becomes a part of a run's name."""
MOST_VERSION = 2**31 - 1


def unpack_payload(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an event's payload; a trigger gives it as text under the key `json`.

    Raises:
        CauseInvalid: the text is no JSON object.
    """
    text = payload.get(TEXT)
    if set(payload) != {TEXT} or not isinstance(text, str):
        return payload
    try:
        found = parse_json(text)
    except DocumentInvalid as error:
        raise CauseInvalid(f"payload.{TEXT}: {error}; allowed: the payload as JSON") from error
    if not isinstance(found, dict):
        raise CauseInvalid(f"payload.{TEXT}: found {found!r:.60}; allowed: an object as JSON")
    return found


def read_cause(
    service: str, event: str, payload: Mapping[str, Any], at: datetime
) -> RetrainingCause:
    """Return the cause that an event tells; `at` is the time of the event, with its zone.

    What a payload says beyond what is needed is left out where it cannot be read; control
    characters of a name become spaces.

    Raises:
        CauseInvalid: no such event, or its payload lacks what it is about.
    """
    if event not in EVENTS:
        raise CauseInvalid(f"event: found '{event}'; allowed: {', '.join(EVENTS)}")
    kind = OPENING.get(event) or CLOSING[event]
    return RetrainingCause(
        service=service,
        kind=kind,
        subject=kind if kind == SCHEDULE else f"{kind} {_read_subject(event, kind, payload)}",
        at=at.astimezone(UTC),
        reason=_describe(kind, payload)[:MOST_LETTERS],
        version=_read_version(event, payload),
        since=_read_since(payload),
        is_over=event in CLOSING,
    )


def _read_subject(event: str, kind: str, payload: Mapping[str, Any]) -> str:
    key = SUBJECTS[kind]
    found = payload.get(key)
    if not isinstance(found, str) or not clean_text(found).strip():
        raise CauseInvalid(
            f"{event}: payload.{key}: found {found!r:.60}; allowed: a name; next: emit it so"
        )
    if kind == PERFORMANCE:  # the figure that shows a drop may not be the one that shows its end
        return "estimated" if payload.get("estimated") is True else "measured"
    return clean_text(found).strip()[:MOST_LETTERS]


def clean_text(text: str) -> str:
    """Return a text that every database, name of a run and terminal can hold."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _read_version(event: str, payload: Mapping[str, Any]) -> int | None:
    found = payload.get("version", payload.get("model_version"))
    if found is None:
        return None
    is_number = not isinstance(found, bool) and bool(re.fullmatch("[0-9]{1,10}", str(found)))
    if not is_number or int(found) > MOST_VERSION:
        raise CauseInvalid(
            f"{event}: payload.version: found {found!r:.60}; allowed: a model version, such as 3"
        )
    return int(found)


def _read_since(payload: Mapping[str, Any]) -> datetime | None:
    """Return the start of the event's window; None where it has none that can be read."""
    window = payload.get("window")
    found = window.get("start") if isinstance(window, Mapping) else None
    return read_time(str(found or payload.get("window_start") or payload.get("since") or ""))


def read_time(text: str) -> datetime | None:
    """Return an ISO time as UTC; one without a zone is UTC. None where it is no time."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):  # no time, or one before year 1 or after year 9999 in UTC
        return None


def _describe(kind: str, payload: Mapping[str, Any]) -> str:
    if kind == SCHEDULE:
        return ""
    name = clean_text(str(payload.get(SUBJECTS[kind], ""))).strip()
    if kind == DRIFT:
        features = _name_features(payload.get("features"))
        return f"{name} ({', '.join(features)})" if features else name
    told = payload.get("reason")
    if kind == ALERT and isinstance(told, str) and clean_text(told).strip():
        return f"{name}: {clean_text(told).strip()}"  # a bare figure would not say of what it is
    value = _write_number(payload.get("value"))
    other = _write_number(payload.get("baseline" if kind == PERFORMANCE else "limit"))
    compared = f" against {other}" if kind == PERFORMANCE else f", limit {other}"
    estimated = ", estimated" if payload.get("estimated") is True else ""
    return f"{name}{f' {value}' if value else ''}{compared if other else ''}{estimated}"


def _write_number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return ""
    try:
        number = float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return ""
    return f"{number:.3g}" if math.isfinite(number) else ""


def _name_features(features: Any) -> list[str]:
    """Return the first names of a mapping by name, or of a list of names or of mappings."""
    found: list[str] = []
    for item in list(features)[:MOST_FEATURES] if isinstance(features, (list, Mapping)) else []:
        one = item
        if isinstance(item, Mapping):
            one = next((item[key] for key in ("feature", "column", "name") if key in item), "")
        found += [clean_text(str(one))] if one else []
    return found
