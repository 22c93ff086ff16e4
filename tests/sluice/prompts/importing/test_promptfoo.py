"""Configurations of promptfoo become prompts of ours; what has no counterpart is named.

Ten are written for this project; ten are files that `promptfoo init` writes, of ten releases.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice.errors import PromptInvalid
from sluice.prompts.folder import Prompt, load_prompt
from sluice.prompts.importing.nunjucks import NoCounterpart, convert_template, fill_variables
from sluice.prompts.importing.promptfoo import import_promptfoo
from sluice.prompts.importing.sources import Notes, parse_plain_yaml
from sluice.prompts.rendering import render_request

FILES = Path(__file__).parents[3] / "cases" / "promptfoo"
NAMES = sorted(path.stem for path in FILES.glob("*.yaml"))
RELEASES = {
    # what `promptfoo init` wrote: versions, cases, and what the notes have to say beside the usual
    "v0.24.2": (2, 1, [
        "prompt 1: not imported: `{% if %}`", "prompt 1: not imported: a conversation that cannot",
        "prompt text 2: not imported: it needs other variables (var1, var2, var3)",
        "test 2: the same input as a test before, joined with it in one case",
        "variable var1: no prompt shows it", "test 3, assertion 1: contains-json: no counterpart",
    ]),
    "v0.31.2": (2, 3, ["test 3, assertion 1: model-graded-closedqa: a judge is a prompt of its"]),
    "v0.43.1": (2, 3, ["provider 2: openai:gpt-4: a version has one model"]),
    "v0.58.0": (2, 3, ["provider 1: openai:gpt-3.5-turbo-0613: read as the model"]),
    "v0.70.1": (2, 3, ["provider 2: openai:gpt-4o: a version has one model"]),
    "v0.81.5": (1, 3, ["test 2: file://context.py: not read, its name is the value"]),
    "v0.99.1": (1, 3, ["variable context: no prompt shows it, it is left out of the cases"]),
    "v0.110.1": (1, 3, ["provider 1: anthropic:messages:claude-3-7-sonnet-20250219: read as"]),
    "v0.118.17": (1, 3, ["provider 3: https://example.com/api/generate: a version has one model"]),
    "v0.123.1": (2, 3, ["provider 2: openai:gpt-5.6-terra: a version has one model"]),
}  # fmt: skip


def load(name: str, root: Path, **options: Any) -> tuple[Prompt, str]:
    """Import a configuration and read the files as those of any prompt; also the notes."""
    found = import_promptfoo(FILES / f"{name}.yaml", name, **options)
    folder = root / name
    folder.mkdir()
    for file, text in found.files.items():
        (folder / file).write_text(text, encoding="utf-8")
    prompt = load_prompt(name, root)
    assert (found.versions, found.cases) == (len(prompt.versions), len(prompt.eval_set.cases))
    return prompt, "\n".join(found.notes)


@pytest.mark.parametrize("name", NAMES)
def test_every_configuration_becomes_a_prompt_whose_cases_can_be_sent(
    name: str, tmp_path: Path
) -> None:
    assert len(NAMES) == 10
    prompt, notes = load(name, tmp_path)
    assert prompt.eval_set.cases
    assert "criterion safety: added" in notes
    for version in prompt.versions.values():
        for case in prompt.eval_set.cases:
            request = render_request(version, case.input)
            assert isinstance(case.input, dict)
            sent = "\n".join(turn.content for turn in request.messages)
            assert all(text in sent for text in case.input.values())


@pytest.mark.parametrize(
    ("name", "notes"),
    [
        ("translate", [
            "provider 2: anthropic:messages:claude-sonnet-4-20250514: a version has one model",
            "provider 1: openai:gpt-4.1: read as the model gpt-4.1",
            "max_tokens: not stated, 1024 is written into the version",
            "limits.yaml: 0.8 for contains, icontains; choose your own",
        ]),
        ("pirate", [
            "`outputPath` has no counterpart", "test 3, assertion 1: javascript: code is not taken",
            "it says: output.length > 3", "test 3, assertion 3: llm-rubric: a judge is a prompt of",
            "it says: Sounds like a pirate", "equals: `exact` here, which ignores case",
        ]),
        ("fruit", [
            "provider 1: `seed: 7` has no counterpart", "test 1, assertion 2: javascript: code is",
            'test 2: `options: {"transform": "JSON.parse(output)"}` has no counterpart',
            "test 2, assertion 1: is-json: not imported: it looks at what a `transform` makes",
            "test 3, assertion 2: `weight` of contains-any has no counterpart",
        ]),
        ("shoes", [
            "defaultTest, assertion 1: llm-rubric: a judge is a prompt of its own here",
            "defaultTest, assertion 3: latency: no counterpart",
        ]),
        ("phrases", [
            "prompt 1: not imported: `{{ (style | load).tone }}` has no counterpart",
            "phrases.csv: column __metric has no counterpart",
        ]),
        ("capitals", [
            "`filters` has no counterpart", "filter `allcaps` of `body` is left out",
            "prompt 1: not imported: `{% if %}` has no counterpart",
        ]),
        ("grid", ["similar: its threshold is a limit on the mean over cases here"]),
        ("forecast", [
            'provider 1: `tool_choice: {"type": "auto"}` has no counterpart',
            "provider 2: openai:chat:gpt-4.1-mini: a version has one model",
            "test 2, assertion 1: is-valid-openai-tools-call: no counterpart",
        ]),
        ("articles", [
            "prompt text 2: not imported: it needs other variables (reader, article) than the",
            'provider 1: `prompts: ["first"]` has no counterpart',
            "assert-set: `threshold` is left out",
        ]),
        ("chat", [
            "provider 2: openai:gpt-4o: a version has one model",
            "provider 1: `prompts: chat_prompt` has no counterpart",
            "test 1, assertion 1: llm-rubric",
        ]),
    ],
)  # fmt: skip
def test_what_has_no_counterpart_is_named(name: str, notes: list[str], tmp_path: Path) -> None:
    _, found = load(name, tmp_path)
    assert [words for words in notes if words not in found] == [], found


@pytest.mark.parametrize("release", RELEASES)
def test_what_promptfoo_itself_writes_is_imported(release: str, tmp_path: Path) -> None:
    versions, cases, words = RELEASES[release]
    found = import_promptfoo(FILES / "init" / f"{release}.yaml", "init")
    notes = "\n".join(found.notes)
    assert (found.versions, found.cases) == (versions, cases)
    code = "assertion 3: javascript" if release == "v0.24.2" else "assertion 2: "
    for part in (*words, code, "code is not taken over", "max_tokens: not stated"):
        assert part in notes, notes
    folder = tmp_path / "init"
    folder.mkdir()
    for file, text in found.files.items():
        (folder / file).write_text(text, encoding="utf-8")
    prompt = load_prompt("init", tmp_path)
    for version in prompt.versions.values():
        for case in prompt.eval_set.cases:
            assert render_request(version, case.input).messages
    if release == "v0.99.1":
        assert [tool.name for tool in prompt.versions[1].tools] == ["get_current_weather"]


def test_what_is_no_list_no_test_and_no_template_is_named(tmp_path: Path) -> None:
    config = {
        "prompts": ["Say {{a}}"],
        "providers": ["x"],
        "defaultTest": ["nothing"],
        "assertionTemplates": ["nothing"],
        "tests": [
            {"vars": {"a": "1"}, "assert": {"type": "contains", "value": "one"}},
            {"vars": {"a": "2"}, "assert": "contains: two"},
        ],
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    found = import_promptfoo(tmp_path / "c.yaml", "x")
    notes = "\n".join(found.notes)
    assert 'defaultTest: ["nothing"]: no test, left out' in notes
    assert "`assertionTemplates` is no mapping and is left out" in notes
    assert 'test 2, assertion 1: "contains: two": no assertion that can be read' in notes
    first = json.loads(found.files["eval_set.jsonl"].splitlines()[0])
    assert first["per_case"][0]["expected"] == {"all": ["one"]}, "one assertion without a list"


def test_templates_and_yaml_are_read_as_promptfoo_does(tmp_path: Path) -> None:
    prompt, _ = load("pirate", tmp_path)
    assert prompt.versions[2].template == "You are a pirate, in {{braces}}. Repeat: {body}"
    first = prompt.eval_set.cases[0]
    assert (first.input, first.expected, first.tags) == ({"body": "Yes"}, "Aye", ("exact match",))
    sent = render_request(prompt.versions[2], first.input).messages[0].content
    assert sent == "You are a pirate, in {braces}. Repeat: Yes"
    assert {item.type for case in prompt.eval_set.cases for item in case.per_case} == {
        "exact", "contains", "json_schema", "similarity",
    }  # fmt: skip


def test_parameters_schemas_and_tools_come_along(tmp_path: Path) -> None:
    fruit, _ = load("fruit", tmp_path)
    version = fruit.versions[1]
    assert (version.model, version.temperature, version.max_tokens) == ("gpt-4o", 0.2, 90)
    assert version.output_schema is not None
    assert version.output_schema["required"] == ["colour"]
    forecast, _ = load("forecast", tmp_path)
    assert forecast.versions[1].tools[0].name == "get_forecast"
    assert forecast.versions[1].placeholders == ("place_city", "place_country")
    assert [item.type for item in forecast.eval_set.cases[1].per_case] == ["refusal"]


def test_a_conversation_becomes_turns(tmp_path: Path) -> None:
    prompt, _ = load("chat", tmp_path)
    request = render_request(prompt.versions[1], prompt.eval_set.cases[0].input)
    assert request.system == 'You are kind. Answer like {"a": 1}.'
    assert [turn.content for turn in request.messages] == ["Hi", "Hello {name}!", "hello"]


def test_lists_files_and_scenarios_are_spread_out_and_doubles_joined(tmp_path: Path) -> None:
    grid, _ = load("grid", tmp_path)
    assert len(grid.eval_set.cases) == 6
    joined = grid.eval_set.cases[0].per_case
    assert [(item.name, item.expected) for item in joined] == [
        ("similar", "Hello"),
        ("word-count", {"min_words": 1, "max_words": 2}),
    ]
    articles, _ = load("articles", tmp_path)
    texts = [case.input for case in articles.eval_set.cases]
    assert texts[1] == {"article": "Use {article} or {{ article }} or {% raw %}."}
    sent = render_request(articles.versions[1], texts[1]).messages[0].content
    assert sent == "Summarize: Use {article} or {{ article }} or {% raw %}."
    assert [item.type for item in articles.eval_set.cases[0].per_case] == ["regex", "regex"]


def test_defaults_reach_every_case_and_every_version(tmp_path: Path) -> None:
    prompt, _ = load("shoes", tmp_path, threshold=0.9)
    assert [case.input for case in prompt.eval_set.cases] == [
        {"name": "Kim", "question": "Where is my order?"},
        {"name": "Bo", "question": "Do you have size {44}?"},
    ]
    assert [item.name for item in prompt.versions[2].eval_criteria] == ["no_ai_talk", "safety"]
    assert prompt.limits.production["no_ai_talk"].limit == 0.9


def test_cells_say_an_assertion_or_the_answer(tmp_path: Path) -> None:
    prompt, _ = load("phrases", tmp_path)
    first, second, third = prompt.eval_set.cases
    assert (first.per_case[0].type, first.tags) == ("contains", ("polite",))
    assert second.expected == "fatigué"
    assert [item.type for item in second.per_case] == ["exact", "contains"]
    assert third.per_case[0].expected == r"^Guten\s"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("[1]", "found no mapping; allowed: a configuration of promptfoo"),
        ("prompts: [a]", "providers: found no model; next: name one with --model"),
        ("prompts: [a]\nproviders: [file://own.py]", "found no model"),
        ("providers: [openai:gpt-4o]", "prompts: found none with a counterpart"),
        ("prompts: ['{% for a in b %}']\nproviders: [x]", "prompt 1: not imported: `{% for %}`"),
        ("prompts: [file://none.txt]\nproviders: [x]", "none.txt: cannot be read: No such file"),
        ("prompts: [a", ":1: not readable as YAML"),
    ],
)
def test_what_cannot_be_imported_is_refused_in_words(
    config: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "promptfooconfig.yaml"
    path.write_text(config)
    with pytest.raises(PromptInvalid) as caught:
        import_promptfoo(path, "x")
    assert words in str(caught.value)


def test_a_given_model_replaces_the_first_provider(tmp_path: Path) -> None:
    prompt, notes = load("translate", tmp_path, model="claude-sonnet-4")
    assert prompt.versions[1].model == "claude-sonnet-4"
    assert "provider 1: openai:gpt-4.1: replaced by claude-sonnet-4" in notes


def test_code_and_addresses_are_neither_run_nor_fetched(tmp_path: Path) -> None:
    config = {
        "prompts": ["file://make.py", {"raw": "Say {{a}}", "label": "one"}],
        "providers": ["openai:gpt-4o"],
        "tests": [
            {"path": "file://tests.py:generate"},
            "https://example.org/tests.csv",
            {"vars": {"a": "file://value.py"}},
        ],
    }
    (tmp_path / "c.json").write_text(json.dumps(config))
    for name in ("make.py", "tests.py", "value.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    found = import_promptfoo(tmp_path / "c.json", "x")
    notes = "\n".join(found.notes)
    assert not (tmp_path / "ran").exists()
    for words in (
        "prompt 1: not imported: make.py: code is not run",
        "prompt 2: `label: one` has no counterpart",
        "tests, entry 1: not imported: file://tests.py:generate: code is not run",
        "tests, entry 2: not imported: https://example.org/tests.csv: nothing is fetched",
        "test 1: file://value.py: not read, its name is the value",
    ):
        assert words in notes


def test_variables_without_a_prompt_and_missing_ones_are_named(tmp_path: Path) -> None:
    config = {
        "prompts": ["{{a}} {{b}}"],
        "providers": ["x"],
        "tests": [{"vars": {"a": "1", "c": "2"}}],
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    found = import_promptfoo(tmp_path / "c.yaml", "x")
    assert json.loads(found.files["eval_set.jsonl"])["input"] == {"a": "1", "b": ""}
    assert "variable c: no prompt shows it, it is left out of the cases" in found.notes
    assert "test 1: variable b: not given, an empty text stands for it" in found.notes


def test_yaml_has_the_texts_of_version_1_2() -> None:
    text = "a: yes\nb: 1:30\nc: 2024-05-01\nd: true\ne: 1.50\nf: null\ng: 0o17\n"
    text += "h: &x {i: off}\nj:\n  <<: *x"
    assert parse_plain_yaml(text) == {
        "a": "yes", "b": "1:30", "c": "2024-05-01", "d": True, "e": 1.5, "f": None, "g": "0o17",
        "h": {"i": "off"}, "j": {"i": "off"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "converted"),
    [
        ("{{a}} {{ a }} {{- a -}} {{ a | trim }}", "{a} {a} {a} {a}"),
        ("{a} {b.c} {}", "{{a}} {b.c} {}"),
        ("{# note #}x{% raw %}{{ a }} {a}{% endraw %}", "x{{ a }} {{a}}"),
        ("{{ a.b.c }}", "{a_b_c}"),
    ],
)
def test_nunjucks_becomes_ours(text: str, converted: str) -> None:
    assert convert_template(text, "", Notes()) == converted


@pytest.mark.parametrize("text", ["{{ a[0] }}", "{{ env.HOME }}", "{{ a + b }}", "{% set a = 1 %}"])
def test_what_ours_cannot_say_is_refused(text: str) -> None:
    with pytest.raises(NoCounterpart):
        convert_template(text, "", Notes())


def test_variables_in_values_are_put_in_and_others_stay() -> None:
    assert fill_variables("{{a}} {{ b }} {{ c | upper }}", {"a": "{{b}}", "c": "x"}) == (
        "{{b}} {{ b }} x"
    )
