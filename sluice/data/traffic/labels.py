"""How right an answer was by its label: both are JSON, as the traffic log has them."""

import math
from collections.abc import Iterable
from typing import Any

from sluice.config.model import Problem
from sluice.documents import parse_json


def score_answers(
    problem: Problem, rows: Iterable[tuple[str, str | None, str | None]]
) -> tuple[list[str], list[float], int]:
    """Score answers, given as unit, outputs and label; return units, scores, and how many failed.

    A score is 1 for a right class and 0 for a wrong one, or the absolute error of a number. A
    request with a list of records has a score for each. What cannot be compared is counted: text
    that is no JSON, a label of another kind or length, an answer that failed.
    """
    units, scores, unread = list[str](), list[float](), 0
    for unit, outputs, label in rows:
        found = score_answer(problem, outputs, label)
        if found is None:
            unread += 1
            continue
        scores += found
        units += [unit] * len(found)
    return units, scores, unread


def score_answer(problem: Problem, outputs: str | None, label: str | None) -> list[float] | None:
    """Return the score of each record of an answer; None where they cannot be compared."""
    try:
        answers, labels = parse_json(outputs or ""), parse_json(label or "")
    except ValueError:
        return None
    pairs = _pair(answers, labels)
    if pairs is None:
        return None
    scores = [_score(problem, answer, truth) for answer, truth in pairs]
    found = [score for score in scores if score is not None]
    return found if len(found) == len(scores) else None


def _pair(answers: Any, labels: Any) -> list[tuple[Any, Any]] | None:
    if isinstance(answers, dict):
        answers, labels = [answers], [labels]
    if not isinstance(answers, list) or not isinstance(labels, list) or not answers:
        return None
    if len(answers) != len(labels) or not all(isinstance(item, dict) for item in answers):
        return None
    return [(item.get("prediction"), truth) for item, truth in zip(answers, labels, strict=True)]


def _score(problem: Problem, answer: Any, truth: Any) -> float | None:
    if answer is None or truth is None:
        return None
    if isinstance(answer, str) is not isinstance(truth, str):
        return None
    if problem != "regression":
        return None if isinstance(truth, (list, dict)) else float(answer == truth)
    if isinstance(answer, str) or isinstance(truth, (bool, list, dict)):
        return None
    error = abs(float(answer) - float(truth))
    return error if math.isfinite(error) else None
