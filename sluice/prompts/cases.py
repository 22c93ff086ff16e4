"""The evaluation set of a prompt: cases with inputs, references, tags and criteria of their own."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import field_validator

from sluice.config.yaml_file import Section
from sluice.errors import PromptInvalid
from sluice.prompts.criterion import Criterion
from sluice.prompts.jsonl import join_problems, read_jsonl
from sluice.prompts.rendering import render_request
from sluice.prompts.version import GivenInput, PromptVersion, describe_misfit

EVAL_SET = "eval_set.jsonl"


class EvalCase(Section):
    """One case: what goes in, and what is known of the answer."""

    input: GivenInput
    expected: str | None = None
    """The reference: a label, or an answer to compare with."""
    tags: tuple[str, ...] = ()
    """Words to group cases by."""
    context: tuple[str, ...] = ()
    """Retrieved passages for `{context}`."""
    per_case: tuple[Criterion, ...] = ()
    """Criteria of this case alone; one with the name of a version's criterion replaces it."""

    @field_validator("per_case")
    @classmethod
    def _names_are_single(cls, criteria: tuple[Criterion, ...]) -> tuple[Criterion, ...]:
        counts = Counter(criterion.name for criterion in criteria)
        if double := [name for name, n in counts.items() if n > 1]:
            raise ValueError(f"found '{double[0]}' twice; allowed: each name once")
        return criteria

    @property
    def key(self) -> str:
        """What makes it another case than others: its input and its passages, as JSON."""
        values = {"input": self.input} if isinstance(self.input, str) else self.input
        facts = {"input": values, "context": self.context}
        return json.dumps(facts, sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True)
class EvalSet:
    """The cases of a prompt, each with its line in the file."""

    path: Path
    rows: Mapping[int, EvalCase]

    @property
    def cases(self) -> tuple[EvalCase, ...]:
        """The cases in the order of the file."""
        return tuple(self.rows.values())

    @cached_property
    def identity(self) -> str:
        """The hexadecimal sha256 of the cases; their order does not count."""
        lines = sorted(
            json.dumps(
                case.model_dump(mode="json", exclude_defaults=True),
                sort_keys=True,
                separators=(",", ":"),
                ensure_ascii=False,
            )
            for case in self.cases
        )
        return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()

    def count_tags(self) -> dict[str, int]:
        """Return how many cases have each tag."""
        return dict(sorted(Counter(tag for case in self.cases for tag in case.tags).items()))


def read_eval_set(path: Path) -> EvalSet:
    """Read an evaluation set; a file without cases is one, which no gate lets pass.

    Raises:
        PromptInvalid: a line is not valid, or a case is there twice.
    """
    rows = read_jsonl(path, EvalCase)
    seen, problems = dict[str, int](), list[str]()
    for line, case in rows.items():
        first = seen.setdefault(case.key, line)
        if first != line:
            words = f"found the case of line {first} again; allowed: each input once"
            problems.append(f"{path}:{line}: input: {words}")
    problems += _find_contradictions(path, rows)
    if problems:
        raise PromptInvalid(join_problems(problems))
    return EvalSet(path, rows)


def _find_contradictions(path: Path, rows: Mapping[int, EvalCase]) -> Iterator[str]:
    """Yield criteria of cases that share a name but neither type nor threshold."""
    known = dict[str, tuple[int, Criterion]]()
    for line, case in rows.items():
        for place, criterion in enumerate(case.per_case):
            first, other = known.setdefault(criterion.name, (line, criterion))
            for key in ("type", "threshold"):
                found, before = getattr(criterion, key), getattr(other, key)
                if found != before:
                    yield (
                        f"{path}:{line}: per_case.{place}.{key}: found {found!r}; "
                        f"allowed: {before!r}, as in line {first}"
                    )


def list_criteria(version: PromptVersion, case: EvalCase) -> tuple[Criterion, ...]:
    """Return the criteria that a case is judged by: the version's, then its own.

    A criterion that compares with the reference is left out where the case has none and the
    criterion has no answer of its own.
    """
    own = {criterion.name: criterion for criterion in case.per_case}
    shared = [own.pop(item.name, item) for item in version.eval_criteria]
    return tuple(item for item in (*shared, *own.values()) if has_reference(item, case))


def has_reference(criterion: Criterion, case: EvalCase) -> bool:
    """Return whether a criterion has what it compares an answer of a case with."""
    if not criterion.scorer.needs_reference or case.expected is not None:
        return True
    return isinstance(criterion.expected, str)


def check_cases(version: PromptVersion, cases: EvalSet) -> None:
    """Check that every case fits a version: variables, passages, criteria.

    Raises:
        PromptInvalid: a variable is missing or surplus, two cases send the same request, or a
            criterion does not fit.
    """
    problems, seen = list[str](), dict[str, int]()
    types = {criterion.name: criterion.type for criterion in version.eval_criteria}
    tools = {tool.name for tool in version.tools}
    for line, case in cases.rows.items():
        where = f"{cases.path}:{line}"
        try:
            digest = render_request(version, case.input, case.context).digest
        except ValueError as error:
            problems.append(f"{where}: input: v{version.version}: {error}")
            continue
        if (first := seen.setdefault(digest, line)) != line:
            words = f"found the case of line {first} again; allowed: each input once"
            problems.append(f"{where}: input: {words}")
        for place, item in enumerate(case.per_case):
            wanted = types.get(item.name, item.type)
            if item.type != wanted:
                words = f"found '{item.type}'; allowed: {wanted}, as in v{version.version}"
                problems.append(f"{where}: per_case.{place}.type: {words}")
            elif words := describe_misfit(item, version.output_schema is not None, tools):
                problems.append(f"{where}: per_case.{place}.expected: {words}")
    if problems:
        raise PromptInvalid(join_problems(problems))
