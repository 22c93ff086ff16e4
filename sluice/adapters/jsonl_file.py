"""Files of one JSON object a line in the state folder: read whole, replaced whole."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from sluice.adapters.storage import PRIVATE, explain_os_error, write_whole
from sluice.prompts.jsonl import read_jsonl

Row = TypeVar("Row", bound=BaseModel)


def read_rows(path: Path, model: type[Row]) -> list[Row]:
    """Return the rows of a file; none where there is no file.

    Raises:
        PromptInvalid: a line is not valid.
    """
    return list(read_jsonl(path, model).values()) if path.exists() else []


def write_rows(path: Path, rows: Iterable[BaseModel], mode: int = PRIVATE) -> None:
    """Replace a file by rows, whole or not at all.

    Raises:
        StorageFull: the disk is full.
        DataUnavailable: the folder cannot be written.
    """
    lines = [row.model_dump_json(exclude_defaults=True) for row in rows]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole({path: "".join(f"{line}\n" for line in lines)}, mode)
    except OSError as error:
        raise explain_os_error(error, str(path)) from error
