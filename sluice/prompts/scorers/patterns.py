"""Regular expressions and JSON schemas whose time is bounded."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import regex
from jsonschema import Draft202012Validator, SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

SECONDS = 0.25
"""Longest time of one search; a pattern can need time that doubles with each character."""
LONGEST = 2_000
"""Characters of a pattern."""


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> "regex.Pattern[str]":
    """Return a compiled pattern.

    Raises:
        ValueError: it is no regular expression, or too long.
    """
    if len(pattern) > LONGEST:
        raise ValueError(f"found {len(pattern):,} characters; allowed: {LONGEST:,}")
    try:
        return regex.compile(pattern)
    except (regex.error, RecursionError) as error:
        raise ValueError(f"found '{pattern}', no regular expression: {error}") from error


def search_pattern(pattern: str, text: str) -> bool:
    """Return whether a pattern is found anywhere in a text.

    Raises:
        TimeoutError: the search took too long.
        ValueError: it is no regular expression.
    """
    return compile_pattern(pattern).search(text, timeout=SECONDS) is not None


def _apply_pattern(
    validator: Validator, pattern: str, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not search_pattern(pattern, instance):
        yield ValidationError("does not match the pattern")


def _apply_pattern_properties(
    validator: Any, patterns: Mapping[str, Any], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, inner in patterns.items():
        for key, value in instance.items():
            if search_pattern(pattern, key):
                yield from validator.descend(value, inner, path=key, schema_path=pattern)


BoundedValidator = extend(
    Draft202012Validator,
    {"pattern": _apply_pattern, "patternProperties": _apply_pattern_properties},
)


def make_validator(schema: Mapping[str, Any]) -> Validator:
    """Return the validator of a JSON schema (2020-12); references lead nowhere outside of it.

    Raises:
        ValueError: it is no JSON schema, or refers to another document.
    """
    try:
        Draft202012Validator.check_schema(schema)
        for pattern in _list_patterns(schema):
            compile_pattern(pattern)
    except SchemaError as error:
        place = "/".join(str(part) for part in error.absolute_path) or "the schema"
        words = f"{place}: found no JSON schema: {error.message[:200]}"
        raise ValueError(f"{words}; allowed: a schema of JSON Schema 2020-12") from error
    except RecursionError as error:
        raise ValueError("no JSON schema: nested too deep") from error
    if outside := [target for target in _list_references(schema) if not target.startswith("#")]:
        raise ValueError(f"$ref: found '{outside[0]}'; allowed: a part of the schema, `#/...`")
    resolver = Registry().with_resource("", DRAFT202012.create_resource(schema)).resolver()
    for target in _list_references(schema):
        try:
            resolver.lookup(target)
        except Unresolvable as error:
            raise ValueError(f"$ref: found '{target}', which the schema does not have") from error
    validator: Validator = BoundedValidator(dict(schema), registry=Registry())
    return validator


def _walk(value: Any) -> Iterator[Mapping[str, Any]]:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping):
            yield item
            stack += item.values()
        elif isinstance(item, list):
            stack += item


def _list_references(schema: Any) -> list[str]:
    keys = ("$ref", "$dynamicRef")
    found = (item.get(key) for item in _walk(schema) for key in keys)
    return [target for target in found if isinstance(target, str)]


def _list_patterns(schema: Any) -> list[str]:
    found = []
    for item in _walk(schema):
        if isinstance(item.get("pattern"), str):
            found.append(item["pattern"])
        if isinstance(item.get("patternProperties"), Mapping):
            found += list(item["patternProperties"])
    return found
