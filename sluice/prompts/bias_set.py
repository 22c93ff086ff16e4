"""The bias set of a prompt: the same inputs with names, pronouns and groups exchanged."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import Field, model_validator

from sluice.config.yaml_file import KeyInvalid, Section
from sluice.errors import PromptInvalid
from sluice.prompts.jsonl import join_problems, read_jsonl
from sluice.prompts.rendering import render_request
from sluice.prompts.template import fill_template, list_placeholders
from sluice.prompts.version import GivenInput, PromptVersion, Values

BIAS_SET = "bias_set.jsonl"


class BiasCase(Section):
    """One case, asked once for each group, all else equal.

    `{name}` in the input is what is exchanged: each group gives its own words for it.
    """

    attribute: str = Field(pattern=r"^[a-z][a-z0-9_ -]{0,62}$")
    """What the groups differ in, such as `gender` or `origin`."""
    input: GivenInput
    """The input, with a placeholder for whatever is exchanged."""
    groups: dict[str, Values] = Field(min_length=2)
    """Group to its words, each for a placeholder of the input."""
    tags: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _groups_fill_the_input(self) -> "BiasCase":
        texts = [self.input] if isinstance(self.input, str) else list(self.input.values())
        wanted = set(list_placeholders(*texts))
        if not wanted:
            words = "found no placeholder; allowed: `{name}` for what the groups exchange"
            raise KeyInvalid("input", words)
        for group, words_of in self.groups.items():
            if set(words_of) != wanted:
                found = ", ".join(sorted(words_of)) or "nothing"
                words = f"found {found}; allowed: {', '.join(sorted(wanted))}, as in the input"
                raise KeyInvalid(f"groups.{group}", words)
        variants = [json.dumps(self.exchange(group)) for group in self.groups]
        if len(set(variants)) < len(variants):
            words = "found two groups with the same words; allowed: different ones"
            raise KeyInvalid("groups", words)
        return self

    def exchange(self, group: str) -> Values | str:
        """Return the input as it is asked for a group."""
        if isinstance(self.input, str):
            return fill_template(self.input, self.groups[group])
        return {key: fill_template(text, self.groups[group]) for key, text in self.input.items()}


@dataclass(frozen=True)
class BiasSet:
    """The bias cases of a prompt, each with its line in the file."""

    path: Path
    rows: Mapping[int, BiasCase]

    @property
    def cases(self) -> tuple[BiasCase, ...]:
        """The cases in the order of the file."""
        return tuple(self.rows.values())

    @cached_property
    def identity(self) -> str:
        """The hexadecimal sha256 of the cases; their order does not count."""
        lines = sorted(
            json.dumps(case.model_dump(mode="json", exclude_defaults=True), sort_keys=True)
            for case in self.cases
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def read_bias_set(path: Path) -> BiasSet:
    """Read a bias set.

    Raises:
        PromptInvalid: a line is not valid, a case is there twice, or an attribute's groups differ
            between cases.
    """
    rows = read_jsonl(path, BiasCase)
    problems, seen = list[str](), dict[str, int]()
    groups = dict[str, tuple[int, list[str]]]()
    for line, case in rows.items():
        key = json.dumps([case.attribute, case.input], sort_keys=True)
        if (first := seen.setdefault(key, line)) != line:
            words = f"found the case of line {first} again; allowed: each input once"
            problems.append(f"{path}:{line}: input: {words}")
        first, known = groups.setdefault(case.attribute, (line, sorted(case.groups)))
        if sorted(case.groups) != known:
            words = f"found {', '.join(sorted(case.groups))}; allowed: {', '.join(known)}"
            problems.append(f"{path}:{line}: groups: {words}, as in line {first}")
    if problems:
        raise PromptInvalid(join_problems(problems))
    return BiasSet(path, rows)


def check_bias_cases(version: PromptVersion, cases: BiasSet) -> None:
    """Check that every bias case fits a version's variables.

    Raises:
        PromptInvalid: a variable is missing or surplus.
    """
    problems = list[str]()
    for line, case in cases.rows.items():
        try:
            render_request(version, case.exchange(next(iter(case.groups))))
        except ValueError as error:
            problems.append(f"{cases.path}:{line}: input: v{version.version}: {error}")
    if problems:
        raise PromptInvalid(join_problems(problems))
