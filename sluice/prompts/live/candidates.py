"""Answers with bad feedback that may become cases: masked, and accepted by a person."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sluice.config.yaml_file import Section
from sluice.documents import DocumentInvalid, parse_json
from sluice.errors import CommandRefused
from sluice.guardrails.actions import GuardrailRules, mask_hits
from sluice.prompts.cases import EvalCase, EvalSet

TAG = "feedback"
"""Tag of the cases that came from feedback."""
MASKING = GuardrailRules({"pii": "mask", "secrets": "mask"})
"""What may not stand in a file that is committed; the gateway's own code finds it."""


@dataclass(frozen=True)
class AnswerFeedback:
    """The last rating and the last correction of an answer; None where there is none."""

    request_id: str
    rating: float | None = None
    label: str | None = None
    """A correction as JSON, as it was sent."""

    @property
    def is_bad(self) -> bool:
        """Whether a person disliked the answer, or said what it should have been."""
        return self.label is not None or (self.rating is not None and self.rating < 0)


@dataclass(frozen=True)
class CaseCandidate:
    """An answer that may become a case; all texts are masked."""

    request_id: str
    at: float
    """When it was answered, in seconds since 1970."""
    version: int
    input: Mapping[str, str] | str
    context: tuple[str, ...]
    answer: str
    rating: float | None
    correction: str | None
    """What the caller said it should have been."""
    masked: tuple[str, ...] = ()
    """Rules of guardrails whose hits were masked."""

    def to_case(self, expected: str | None = None) -> EvalCase:
        """Return the case; `expected` goes before the caller's correction."""
        reference = expected if expected is not None else self.correction
        return EvalCase(
            input=self.input if isinstance(self.input, str) else dict(self.input),
            expected=mask(reference)[0] if reference is not None else None,
            tags=(TAG,),
            context=self.context,
        )


class CaseDecision(Section):
    """What a person decided about an answer."""

    request_id: str
    action: Literal["accept", "drop"]
    by: str
    reason: str
    at: str
    """Time, ISO 8601 in UTC."""
    eval_set: str = ""
    """Identity of the evaluation set after an acceptance."""


def mask(text: str) -> tuple[str, tuple[str, ...]]:
    """Return a text with personal data and secrets masked, and the rules that found them."""
    hits = MASKING.judge(text)
    return mask_hits(text, hits), tuple(dict.fromkeys(item.hit.rule for item in hits))


def merge_feedback(rows: Iterable[Mapping[str, Any]]) -> dict[str, AnswerFeedback]:
    """Return the feedback by request; of each part the last one counts. Rows are in time order."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        known = found.setdefault(row["request_id"], {})
        known |= {key: row[key] for key in ("rating", "label") if row[key] is not None}
    return {name: AnswerFeedback(name, **values) for name, values in found.items()}


def make_candidate(
    given: AnswerFeedback, at: float, version: int, inputs: str, outputs: str
) -> CaseCandidate | None:
    """Return the candidate that a logged answer with bad feedback gives; None where it gives none.

    `inputs` and `outputs` are JSON as the traffic log has them.
    """
    try:
        asked, answered = parse_json(inputs), parse_json(outputs) if outputs else {}
    except DocumentInvalid:
        return None
    if not isinstance(asked, dict) or not isinstance(answered, dict) or "variables" not in asked:
        return None
    variables, rules = asked["variables"], list[str]()

    def clean(text: Any) -> str:
        masked, found = mask(str(text))
        rules.extend(found)
        return masked

    values = (
        {str(name): clean(text) for name, text in variables.items()}
        if isinstance(variables, dict)
        else clean(variables)
    )
    context = tuple(clean(text) for text in asked.get("context", ()))
    correction = None if given.label is None else clean(_read_label(given.label))
    answer = clean(answered.get("text", ""))
    return CaseCandidate(
        given.request_id,
        at,
        version,
        values,
        context,
        answer,
        given.rating,
        correction,
        tuple(dict.fromkeys(rules)),
    )


def _read_label(label: str) -> str:
    """Return a correction as words; it is a text, a number or a truth value in JSON."""
    try:
        found = parse_json(label)
    except DocumentInvalid:
        return label
    return found if isinstance(found, str) else json.dumps(found)


def add_case(cases: EvalSet, case: EvalCase) -> EvalSet:
    """Return the set with a case at its end.

    Raises:
        CommandRefused: a case with this input and these passages is there already.
    """
    for line, known in cases.rows.items():
        if known.key == case.key:
            raise CommandRefused(
                f"{cases.path}:{line}: has this input already; next: change that line by hand, or "
                "drop the candidate"
            )
    last = max(cases.rows, default=0)
    return EvalSet(cases.path, {**cases.rows, last + 1: case})


def write_line(case: EvalCase) -> str:
    """Return a case as a line of its file."""
    values = case.model_dump(mode="json", exclude_defaults=True)
    return json.dumps(values, ensure_ascii=False) + "\n"


def find_candidate(candidates: Sequence[CaseCandidate], request_id: str) -> CaseCandidate:
    """Return the candidate of a request.

    Raises:
        CommandRefused: no candidate has this id.
    """
    for item in candidates:
        if item.request_id == request_id:
            return item
    shown = ", ".join(item.request_id for item in candidates[:10]) or "none waits"
    raise CommandRefused(f"request: found '{request_id}', no candidate; allowed: {shown}")
