"""A version of a prompt: its words, its model with parameters, and what its answers must be."""

import hashlib
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, field_validator, model_validator

from sluice.config.yaml_file import KeyInvalid, Section
from sluice.errors import PromptChanged
from sluice.prompts.chat import Role
from sluice.prompts.criterion import NAME, Criterion
from sluice.prompts.scorers.patterns import make_validator
from sluice.prompts.scorers.scoring import describe_value
from sluice.prompts.template import describe_variables, list_foreign, list_placeholders

CONTEXT = "context"
"""Placeholder of the retrieved passages."""
REPEATS = 3
"""Answers to each case, unless a version says otherwise; 1 at temperature 0."""
Values = dict[str, str]


def check_input(given: Any) -> Any:
    """Return an input that is a text, or a mapping of variables to texts.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(given, str):
        return given
    if not isinstance(given, dict):
        words = "a text, or a mapping of the version's placeholders to texts"
        raise ValueError(f"found {describe_value(given)}; allowed: {words}")
    for name, value in given.items():
        if not isinstance(value, str):
            words = f"found {describe_value(value)}; allowed: a text"
            hint = "" if isinstance(value, dict | list) else f', such as "{value}"'
            raise KeyInvalid(name, words + hint)
    return given


GivenInput = Annotated[Values | str, BeforeValidator(check_input)]
"""A case's input: the value of each placeholder; a text where the template has one placeholder."""


class Turn(Section):
    """A turn of the conversation before the template; its placeholders are filled too."""

    role: Role
    content: str = Field(min_length=1)


class PromptExample(Section):
    """A worked example, sent as two turns: the template with its input, and the answer."""

    input: GivenInput
    output: str = Field(min_length=1)
    """The answer as it should be, sent as it stands."""


class PromptTool(Section):
    """A tool that the model may call."""

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")
    description: str = Field(min_length=1)
    parameters: dict[str, Any]
    """JSON schema of the arguments."""

    @field_validator("parameters")
    @classmethod
    def _parameters_are_a_schema(cls, schema: dict[str, Any]) -> dict[str, Any]:
        make_validator(schema)
        return schema


class PromptVersion(Section):
    """One version of a prompt; a version that was evaluated or published never changes."""

    name: str = Field(pattern=NAME)
    """The prompt's name, which is its folder's."""
    version: int = Field(ge=1)
    """Counted from 1; `v2.yaml` is version 2."""
    model: str = Field(min_length=1, max_length=128)
    """The model's name, which configs/llm/providers.yaml maps to a provider."""
    temperature: float | None = Field(None, ge=0.0, le=2.0)
    """Empty: the model's own."""
    max_tokens: int = Field(ge=1, le=1_000_000)
    """Most tokens of an answer."""
    system: str = ""
    """Instructions that stand before the conversation."""
    template: str = Field(min_length=1)
    """The user's turn. `{name}` is a variable; `{{name}}` is the text {name}."""
    examples: tuple[PromptExample, ...] = ()
    messages: tuple[Turn, ...] = ()
    """Turns between the examples and the template: user, assistant, and so on."""
    context: tuple[str, ...] = ()
    """Passages for `{context}`, for cases that bring none of their own."""
    tools: tuple[PromptTool, ...] = ()
    output_schema: dict[str, Any] | None = None
    """JSON schema of the answer, for models that can be bound to one."""
    repeats: int | None = Field(None, ge=1, le=100)
    """Answers to each case: 3 unless stated, 1 at temperature 0."""
    eval_criteria: tuple[Criterion, ...] = Field(min_length=1)

    @field_validator("template")
    @classmethod
    def _template_has_words(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("found blanks; allowed: the words of the user's turn")
        return text

    @field_validator("output_schema")
    @classmethod
    def _output_schema_is_one(cls, schema: dict[str, Any] | None) -> dict[str, Any] | None:
        if schema is not None:
            make_validator(schema)
        return schema

    @model_validator(mode="after")
    def _parts_fit_together(self) -> "PromptVersion":
        self._check_criteria()
        self._check_turns()
        for place, example in enumerate(self.examples):
            key = f"examples.{place}.input"
            try:
                self.read_values(example.input, has_context=bool(self.context))
            except ValueError as error:
                raise KeyInvalid(key, str(error)) from error
        if self.context and CONTEXT not in self.placeholders:
            words = "found passages that no text shows; allowed: with {context} in the template"
            raise KeyInvalid("context", words)
        names = [tool.name for tool in self.tools]
        if double := [name for name in names if names.count(name) > 1]:
            raise KeyInvalid("tools", f"found '{double[0]}' twice; allowed: each name once")
        return self

    def _check_criteria(self) -> None:
        names = [criterion.name for criterion in self.eval_criteria]
        tools = {tool.name for tool in self.tools}
        for place, criterion in enumerate(self.eval_criteria):
            key = f"eval_criteria.{place}"
            if criterion.name in names[:place]:
                words = f"found '{criterion.name}' twice; allowed: each name once"
                raise KeyInvalid(f"{key}.name", words)
            if problem := describe_misfit(criterion, self.output_schema is not None, tools):
                raise KeyInvalid(f"{key}.expected", problem)

    def _check_turns(self) -> None:
        wanted: tuple[Literal["user", "assistant"], ...] = ("user", "assistant")
        for place, turn in enumerate(self.messages):
            if turn.role != wanted[place % 2]:
                words = f"found '{turn.role}'; allowed: {wanted[place % 2]}, by turns"
                raise KeyInvalid(f"messages.{place}.role", words)
        if len(self.messages) % 2:
            words = "found a user's turn at the end; allowed: an assistant's, since the template is"
            raise KeyInvalid(f"messages.{len(self.messages) - 1}.role", f"{words} a user's turn")

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts that may have placeholders, in the order in which they are sent."""
        return (self.system, *(turn.content for turn in self.messages), self.template)

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The names of the variables, each once, in order."""
        return list_placeholders(*self.texts)

    @property
    def repeated(self) -> int:
        """How many answers each case gets."""
        return self.repeats or (1 if self.temperature == 0 else REPEATS)

    def read_values(self, given: Values | str, has_context: bool = False) -> Values:
        """Return the value of each placeholder, from a mapping or from a single text.

        `has_context`: passages fill `{context}`.

        Raises:
            ValueError: a variable is missing or surplus; a text is given for several of them.
        """
        wanted = tuple(name for name in self.placeholders if not (has_context and name == CONTEXT))
        if isinstance(given, str):
            if len(wanted) != 1:
                names = ", ".join(wanted) or "none"
                raise ValueError(
                    f"found a text; allowed: a mapping of the version's placeholders: {names}"
                )
            return {wanted[0]: given}
        if words := describe_variables(wanted, tuple(given), list_foreign(*self.texts)):
            raise ValueError(words)
        return given

    @property
    def identity(self) -> str:
        """The hexadecimal sha256 of the canonical YAML: texts, model, parameters and criteria.

        Keys are sorted and values that are a key's default are left out, so comments, order and
        a default that is written out change nothing.
        """
        return hashlib.sha256(dump_canonical(self).encode("utf-8", "surrogatepass")).hexdigest()


def describe_misfit(criterion: Criterion, has_schema: bool, tools: set[str]) -> str:
    """Return in words what a criterion needs and a version does not have; empty if nothing."""
    if criterion.type == "json_schema" and criterion.expected is None and not has_schema:
        return "found nothing; allowed: a JSON schema, or nothing with an output_schema"
    if criterion.type == "tool_calls":
        named = [call["name"] for call in criterion.expected]
        if unknown := [name for name in named if name not in tools]:
            known = ", ".join(sorted(tools)) or "none, the version has no tools"
            return f"found tool '{unknown[0]}'; allowed: {known}"
    return ""


def dump_canonical(version: PromptVersion) -> str:
    """Return a version as canonical YAML: sorted keys, no defaults, no comments."""
    values = version.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(values, sort_keys=True, allow_unicode=True, width=2**31 - 1)


def check_unchanged(version: PromptVersion, recorded: str, event: str) -> None:
    """Check that a version is what it was when it was evaluated or published.

    `recorded` is its identity then, `event` what happened with it, such as `evaluated`.

    Raises:
        PromptChanged: its identity is another one now.
    """
    if version.identity != recorded:
        raise PromptChanged(
            f"{version.name} v{version.version} was {event} as {recorded[:12]} and is "
            f"{version.identity[:12]} now; next: undo the change, or make a new version: "
            f"sluice prompt new {version.name} --from {version.version}"
        )
