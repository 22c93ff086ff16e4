"""Files of one JSON object a line: every error names the file, the line and the key."""

import json
import os
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from sluice.config.yaml_file import list_errors
from sluice.documents import DocumentInvalid, Limits, parse_json
from sluice.errors import PromptInvalid

LINE_LIMITS = Limits(size=1024**2, depth=40, values=20_000)
"""What one line may have at most."""
FILE_BYTES = 64 * 1024**2
MOST_ERRORS = 20
"""Errors of a file that are shown at once."""
Row = TypeVar("Row", bound=BaseModel)


def read_jsonl(path: Path, model: type[Row]) -> dict[int, Row]:
    """Return the objects of a file by their lines, counted from 1; empty lines are passed over.

    Raises:
        PromptInvalid: the file cannot be read, or a line is no JSON, has an unknown key, a key
            twice, or a value that is not allowed.
    """
    rows, problems = dict[int, Row](), list[str]()
    for line, text in enumerate(_read_lines(path), 1):
        if not text.strip():
            continue
        try:
            rows[line] = _parse_row(text, model)
        except DocumentInvalid as error:
            words = str(error).replace(", line 1, column", ", column")
            problems.append(f"{path}:{line}: {words}")
        except ValidationError as error:
            problems += [
                f"{path}:{line}: {'.'.join(map(str, place)) or 'the line'}: {words}"
                for place, words in list_errors(error, model)
            ]
    if problems:
        raise PromptInvalid(join_problems(problems))
    return rows


def join_problems(problems: list[str]) -> str:
    """Return problems, one a line; the first ones where there are many."""
    rest = len(problems) - MOST_ERRORS
    more = [f"and {rest:,} more"] if rest > 0 else []
    return "\n".join(problems[:MOST_ERRORS] + more)


def _read_lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES + 1)
    except OSError as error:
        raise PromptInvalid(f"{path}: cannot be read: {os.strerror(error.errno or 0)}") from error
    if len(content) > FILE_BYTES:
        raise PromptInvalid(f"{path}: longer than the {FILE_BYTES:,} bytes that are allowed")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise PromptInvalid(f"{path}:{line}: not readable as UTF-8") from error
    return text.split("\n")  # not at U+2028, which JSON allows in a text


def _parse_row(text: str, model: type[Row]) -> Row:
    found = parse_json(text, LINE_LIMITS)
    if not isinstance(found, dict):
        raise DocumentInvalid(f"found {type(found).__name__}; allowed: an object, {{...}}")
    json.loads(text, object_pairs_hook=_refuse_doubles)
    return model.model_validate_json(json.dumps(found), strict=True)


def _refuse_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict[str, Any]()
    for key, value in pairs:
        if key in found:
            raise DocumentInvalid(f"key '{key}' is given twice")
        found[key] = value
    return found
