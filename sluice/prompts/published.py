"""Published versions of prompts, kept as they were: what answers callers is read from here.

A file of `prompts/` can be edited at any time. A published version is a file of the state folder,
whose name has the sha256 of its content.
"""

from hashlib import sha256
from pathlib import Path

from pydantic import ValidationError

from sluice.config.yaml_file import Section
from sluice.errors import PromptChanged, PromptInvalid
from sluice.prompts.version import GivenInput, PromptVersion, dump_canonical
from sluice.prompts.yaml_section import read_section


class SmokeQuestion(Section):
    """The fixed question of a published version, which its smoke test asks."""

    input: GivenInput
    """A text for each variable; a text where there is one."""
    context: tuple[str, ...] = ()
    """Passages for `{context}`."""


def name_published(version: PromptVersion) -> str:
    """Return the name of a published version's file; its content is the canonical YAML."""
    return f"v{version.version}-{version.identity}.yaml"


def name_question(version: PromptVersion) -> str:
    """Return the name of the file with a published version's fixed question."""
    return f"smoke-{name_published(version).removesuffix('.yaml')}.json"


def write_published(
    version: PromptVersion, question: SmokeQuestion | None = None
) -> dict[str, str]:
    """Return the files of a published version: their names and contents."""
    files = {name_published(version): dump_canonical(version)}
    if question is not None:
        files[name_question(version)] = question.model_dump_json()
    return files


def read_question(folder: Path, version: PromptVersion) -> SmokeQuestion:
    """Read the fixed question of a published version.

    A version that an earlier Sluice published has none: then each variable is the word `text`.
    """
    path = folder / name_question(version)
    try:
        return SmokeQuestion.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return SmokeQuestion(input=dict.fromkeys(version.placeholders, "text"))


def read_published(folder: Path, name: str, number: int) -> PromptVersion:
    """Read a version as it was published.

    Raises:
        PromptInvalid: it was not published, or by an earlier Sluice that kept no file.
        PromptChanged: there are two of its number, or the file is not what was published.
    """
    found = sorted(folder.glob(f"v{number}-*.yaml"))
    again = f"next: sluice prompt publish {name} {number}: answers that are kept cost nothing"
    if not found:
        raise PromptInvalid(f"{folder}: found no published v{number} of {name}; {again}")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise PromptChanged(f"{folder}: found two versions {number}: {names}; next: remove one")
    [path] = found
    version = read_section(path, PromptVersion)
    digest = sha256(path.read_bytes()).hexdigest()
    if path.name != f"v{number}-{digest}.yaml" or (version.name, version.version) != (name, number):
        raise PromptChanged(
            f"{path}: is not what was published as {name} v{number}; next: remove the file, then "
            f"sluice prompt publish {name} {number}"
        )
    return version
