"""Placeholders are filled once; every other brace, in texts and in values, stays as it is."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.prompts.template import (
    describe_variables,
    fill_template,
    list_foreign,
    list_placeholders,
)

HOSTILE = (
    "{other}",
    "{{person}}",
    "{% raw %}{{ x }}{% endraw %}",
    '{"a": {"b": [1]}}',
    "{person!r:>10}",
    "${person} %(person)s \\1 \\g<1>",
    "{0} {} }{",
    "{person.__class__.__mro__}",
)


def test_placeholders_are_names_in_single_braces() -> None:
    text = 'A {person}, {"json": {person}}, {{ person }}, {{literal}}, { person }, {0}, {a-b}, {}'
    assert list_placeholders(text) == ("person",)
    assert list_foreign("{{ name | upper }} and {{-other-}}") == ("name", "other")


@pytest.mark.parametrize("value", HOSTILE)
def test_syntax_in_values_does_nothing(value: str) -> None:
    assert fill_template("a {person} b {person}", {"person": value}) == f"a {value} b {value}"


def test_doubled_braces_write_a_placeholder_as_text() -> None:
    text = 'Answer {"label": "{{label}}"}, like {{ this }}: {ticket}'
    assert fill_template(text, {"ticket": "x"}) == 'Answer {"label": "{label}"}, like {{ this }}: x'


@given(st.text(alphabet=string.printable + "{}äß\u2028"), st.text())
def test_a_text_without_placeholders_is_sent_as_it_stands(text: str, value: str) -> None:
    if not list_placeholders(text) and not list_foreign(text):
        assert fill_template(text, {"person": value}) == text
    assert fill_template("<{person}>", {"person": text}) == f"<{text}>"


def test_missing_and_surplus_variables_are_named_with_a_hint() -> None:
    assert describe_variables(("a", "b"), ("b", "a")) == ""
    words = describe_variables(("a", "b"), ("b", "c"), foreign=("c",))
    assert words == (
        "missing: a; surplus: c; the version's placeholders: a, b; "
        "`{{c}}` is no placeholder, write `{c}`"
    )
