"""Files of prompts that commands write: whole, checked, and never over what is there."""

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sluice.errors import PromptInvalid, ServiceExists, StorageFull
from sluice.home import PROMPTS

EXAMPLE = """\
name: {name}
version: 1
model: claude-sonnet-4-6
temperature: 0
max_tokens: 200
system: |
  You answer questions of customers. Answer in one sentence.
template: |
  {{question}}
eval_criteria:
  - name: one_sentence
    type: length
    expected: {{max_words: 30}}
  - name: names_the_product
    type: contains
    expected: {{all: [coffee], ignore_case: true}}
    threshold: 0.8
  - name: safety
    type: safety
"""
CASES = """\
{"input": {"question": "What do you sell?"}, "tags": ["example"]}
{"input": {"question": "Do you have decaffeinated coffee?"}, "tags": ["example"]}
"""


def choose_name(name: str) -> str:
    """Return a name that a prompt may have, made of another one.

    Raises:
        PromptInvalid: nothing of it can be a name.
    """
    found = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60]
    if not found or not found[0].isalpha():
        words = "a word of a-z, 0-9, _ and - that begins with a letter"
        raise PromptInvalid(f"--name: found '{name}'; allowed: {words}")
    return found


def write_prompt(name: str, root: Path = PROMPTS) -> list[Path]:
    """Write a new prompt with a version and cases to fill in; return its files.

    Raises:
        PromptInvalid: the name is not allowed.
        ServiceExists: there is such a folder.
        StorageFull: a file cannot be written.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", name) or name == "judges":
        words = "a word of a-z, 0-9, _ and - that begins with a letter"
        raise PromptInvalid(f"found the name '{name}'; allowed: {words}, `judges` aside")
    files = {"v1.yaml": EXAMPLE.format(name=name), "eval_set.jsonl": CASES}
    folder = write_files(name, files, root=root)
    return [folder / file for file in files]


def write_version(name: str, base: int, root: Path = PROMPTS) -> list[Path]:
    """Write a prompt's next version, a copy of another one; return its file.

    Comments and order are those of the copied file.

    Raises:
        PromptInvalid: there is no such version, or its file is not valid.
        StorageFull: the file cannot be written.
    """
    from sluice.prompts.folder import find_folder, load_version
    from sluice.prompts.listing import list_versions

    folder = find_folder(name, root)
    known = list_versions(folder)
    copied, number = base or known[-1], known[-1] + 1
    load_version(name, copied, root)
    text = (folder / f"v{copied}.yaml").read_text(encoding="utf-8")
    text, found = re.subn(r"(?m)^version:.*$", f"version: {number}", text, count=1)
    path = folder / f"v{number}.yaml"
    if not found:
        words = "found no line `version:` at the top level; next: write it on a line of its own"
        raise PromptInvalid(f"{folder / f'v{copied}.yaml'}: {words}")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise StorageFull(f"{path}: cannot be written: {os.strerror(error.errno or 0)}") from error
    return [path]


def write_files(name: str, files: Mapping[str, str], root: Path = PROMPTS) -> Path:
    """Write a prompt's files, once all of them are valid together; return their folder.

    Raises:
        PromptInvalid: the files do not fit together; nothing is written then.
        ServiceExists: there is such a folder.
        StorageFull: a file cannot be written.
    """
    from sluice.prompts.folder import load_prompt

    folder = root / name
    if folder.exists():
        raise ServiceExists(f"{folder}: exists; next: take another name, or move it away")
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".new-") as made:
            draft = Path(made) / name
            draft.mkdir()
            for file, text in files.items():
                (draft / file).write_text(text, encoding="utf-8")
            load_prompt(name, Path(made))
            draft.rename(folder)
    except OSError as error:
        raise StorageFull(f"{folder}: cannot be written: {error.strerror}") from error
    return folder
