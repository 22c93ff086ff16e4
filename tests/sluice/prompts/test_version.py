"""A version: strict, whole, with an identity; what is wrong is named with file, line and key."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from sluice.errors import PromptChanged, PromptInvalid
from sluice.prompts.chat import ChatMessage
from sluice.prompts.folder import load_version
from sluice.prompts.rendering import render_request
from sluice.prompts.version import PromptVersion, check_unchanged
from support.prompts import VERSION, write_version

CASES = Path(__file__).parents[2] / "cases" / "prompts"
SHORT = {"name": "short", "type": "length", "expected": {"max_words": 5}}


def load(root: Path, **changes: Any) -> PromptVersion:
    write_version(root, **changes)
    return load_version("greet", changes.get("version", 1), root)


def test_the_version_of_the_example_is_valid_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "summarize").mkdir()
    shutil.copy(CASES / "summarize-v2.yaml", tmp_path / "summarize" / "v2.yaml")
    version = load_version("summarize", 2, tmp_path)
    assert version.placeholders == ("text",)
    assert version.repeated == 3
    assert [item.check for item in version.eval_criteria] == ["format_valid", "relevance"]
    assert version.eval_criteria[1].judge_name == "relevance"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"modle": "x"}, ":13: modle: unknown key (did you mean `model`?); allowed: context,"),
        ({"model": None}, "model: Field required"),
        ({"temperature": 3}, ":4: temperature: Input should be less than or equal to 2; found 3"),
        ({"max_tokens": 0}, ":5: max_tokens: Input should be greater than or equal to 1"),
        ({"template": " \n"}, ":7: template: found blanks"),
        ({"name": "other"}, ":1: name: found 'other'; allowed: 'greet', as the file's place says"),
        ({"eval_criteria": []}, "eval_criteria: Tuple should have at least 1 item"),
        (
            {"eval_criteria": [{"name": "a", "type": "bleu"}]},
            ":10: eval_criteria.0.type: found 'bleu'; allowed: contains, exact, format_check,",
        ),
        ({"eval_criteria": [SHORT, dict(SHORT)]}, ":13: eval_criteria.1.name: found 'short' twice"),
        (
            {"eval_criteria": [{"name": "a", "type": "format_check", "expected": "three"}]},
            "eval_criteria.0.expected: found 'three'; allowed: a number of bullet points",
        ),
        (
            {"eval_criteria": [{"name": "a", "type": "json_schema"}]},
            "allowed: a JSON schema, or nothing with an output_schema",
        ),
        (
            {"eval_criteria": [{"name": "a", "type": "tool_calls", "expected": [{"name": "f"}]}]},
            "found tool 'f'; allowed: none, the version has no tools",
        ),
        (
            {"eval_criteria": [{"name": "a", "type": "exact", "threshold": 1.0}]},
            "eval_criteria.0.threshold: Input should be less than 1",
        ),
        ({"eval_criteria": [SHORT | {"judge": "x"}]}, "judge: found 'x'; allowed: only with type"),
        (
            {"examples": [{"input": {"name": "Al"}, "output": "Hi"}]},
            "examples.0.input: missing: person; surplus: name; the version's placeholders: person",
        ),
        ({"examples": [{"input": {"person": 5}, "output": "Hi"}]}, 'a text, such as "5"'),
        ({"messages": [{"role": "assistant", "content": "Hi"}]}, "messages.0.role: found 'assis"),
        ({"messages": [{"role": "user", "content": "Hi"}]}, "found a user's turn at the end"),
        ({"context": ["A passage."]}, "context: found passages that no text shows"),
        ({"output_schema": {"type": "strin"}}, "output_schema: type: found no JSON schema"),
        ({"output_schema": {"$ref": "http://x/y"}}, "$ref: found 'http://x/y'; allowed: a part"),
        ({"output_schema": {"$ref": "#/$defs/a"}}, "'#/$defs/a', which the schema does not have"),
    ],
)
def test_a_wrong_version_is_refused_by_line_and_key(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(PromptInvalid) as caught:
        load(tmp_path, **changes)
    assert str(caught.value).startswith(str(tmp_path / "greet" / "v1.yaml"))
    assert words in str(caught.value)


def test_a_key_twice_and_broken_yaml_are_refused_by_line(tmp_path: Path) -> None:
    path = write_version(tmp_path)
    text = path.read_text()
    for broken, words in (
        (f"{text}model: x\n", ":13: not readable as YAML: key 'model' is given twice"),
        ("a: [", ":1"),
    ):
        path.write_text(broken)
        with pytest.raises(PromptInvalid) as caught:
            load_version("greet", 1, tmp_path)
        assert f"{path}{words}" in str(caught.value)


def test_an_unknown_model_is_refused_by_the_callback(tmp_path: Path) -> None:
    write_version(tmp_path)
    with pytest.raises(PromptInvalid, match=r"v1\.yaml:3: model: found 'claude-sonnet-4'; allowed"):
        load_version(
            "greet", 1, tmp_path, check_model=lambda name: f"found '{name}'; allowed: x, y"
        )
    assert load_version("greet", 1, tmp_path, check_model=lambda name: "").version == 1


def test_unknown_prompts_and_versions_name_the_known_ones(tmp_path: Path) -> None:
    write_version(tmp_path)
    with pytest.raises(PromptInvalid, match="found no prompt 'x'; allowed: greet; next: sluice"):
        load_version("x", 1, tmp_path)
    with pytest.raises(PromptInvalid, match="found no version 7; allowed: 1"):
        load_version("greet", 7, tmp_path)


def test_the_request_has_every_turn_in_order(tmp_path: Path) -> None:
    version = load(
        tmp_path,
        system="Speak {language}.",
        examples=[{"input": {"person": "Al {x}", "language": "Welsh"}, "output": "Hi {person}!"}],
        messages=[
            {"role": "user", "content": "Know {person}?"},
            {"role": "assistant", "content": "Yes."},
        ],
        tools=[{"name": "f", "description": "d", "parameters": {"type": "object"}}],
        output_schema={"type": "string"},
    )
    request = render_request(version, {"person": "{language}", "language": "German"})
    assert request.system == "Speak German."
    assert request.messages == (
        ChatMessage("user", "Greet Al {x}."),
        ChatMessage("assistant", "Hi {person}!"),
        ChatMessage("user", "Know {language}?"),
        ChatMessage("assistant", "Yes."),
        ChatMessage("user", "Greet {language}."),
    )
    assert (request.temperature, request.max_tokens, request.tools[0].name) == (0, 50, "f")
    assert request.output_schema == {"type": "string"}


def test_passages_of_a_case_replace_those_of_the_version(tmp_path: Path) -> None:
    version = load(tmp_path, template="{context}\n{person}", context=["own"])
    assert render_request(version, "Al").messages[0].content == "own\nAl"
    assert render_request(version, "Al", ("a", "{b}")).messages[0].content == "a\n\n{b}\nAl"
    with pytest.raises(ValueError, match="surplus: context"):
        render_request(version, {"person": "Al", "context": "c"})
    with pytest.raises(ValueError, match="found passages"):
        render_request(load(tmp_path), "Al", ("a",))


def test_a_text_stands_for_the_only_variable(tmp_path: Path) -> None:
    assert render_request(load(tmp_path), "Al").messages[0].content == "Greet Al."
    with pytest.raises(ValueError, match="a mapping of the version's placeholders: a, b"):
        render_request(load(tmp_path, template="{a} {b}"), "Al")


def test_repeats_follow_the_temperature(tmp_path: Path) -> None:
    assert load(tmp_path, temperature=0).repeated == 1
    assert load(tmp_path, temperature=None).repeated == 3
    assert load(tmp_path, repeats=7).repeated == 7


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "claude-opus-4"},
        {"temperature": 0.1},
        {"temperature": None},
        {"max_tokens": 51},
        {"system": "Be short. "},
        {"template": "Greet {person}!"},
        {"examples": [{"input": "Al", "output": "Hi"}]},
        {"repeats": 2},
        {"eval_criteria": [SHORT | {"threshold": 0.9}]},
        {"version": 2},
    ],
)
def test_the_identity_changes_with_everything_that_counts(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    before = load(tmp_path)
    after = load(tmp_path, **changes)
    assert before.identity != after.identity
    with pytest.raises(PromptChanged, match=r"was evaluated as .* sluice prompt new greet --from"):
        check_unchanged(after, before.identity, "evaluated")


def test_the_identity_is_that_of_the_content_and_not_of_the_file(tmp_path: Path) -> None:
    before = load(tmp_path)
    path = tmp_path / "greet" / "v1.yaml"
    lines = path.read_text().splitlines()
    same = ["# a comment", *reversed(lines[:7]), *lines[7:], "examples: []", "repeats: null"]
    path.write_text("\n".join(same))
    after = load_version("greet", 1, tmp_path)
    assert after.identity == before.identity
    check_unchanged(after, before.identity, "published")


def test_the_identity_is_the_same_on_every_machine() -> None:
    """It is written into registries: a change of it makes every version a new one."""
    version = PromptVersion.model_validate(VERSION)
    assert version.identity == "adee9bbeff5764e7ba76aac6bd91f104037e2e51502d91f4e03d5f2894ae1f9e"
