"""A configuration of promptfoo as versions, cases and limits of ours."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sluice.errors import PromptInvalid
from sluice.prompts.criterion import Criterion
from sluice.prompts.importing.assertions import AssertionReader
from sluice.prompts.importing.cases import Test, list_variants, merge_tests, read_tests
from sluice.prompts.importing.models import read_model
from sluice.prompts.importing.nunjucks import fill_variables, flatten_variables
from sluice.prompts.importing.sources import FILE, Notes, read_values, to_text
from sluice.prompts.importing.texts import ImportedText, read_prompts
from sluice.prompts.limits import find_limit
from sluice.prompts.template import list_placeholders

READ = {"description", "prompts", "providers", "targets", "tests", "scenarios", "defaultTest"}
"""Keys of a configuration that are read; every other one is named."""
TEMPLATES = "assertionTemplates"
REASON = "imported without a limit; promptfoo asks for every test, choose your own"
SAFETY = {"name": "safety", "type": "safety"}


@dataclass(frozen=True)
class ImportedPrompt:
    """What a foreign configuration became: the files of a prompt, and what is not in them.

    `files` is the text of each file by its name, `notes` are one line for each thing that has no
    counterpart, or is another thing here.
    """

    name: str
    versions: int
    cases: int
    files: Mapping[str, str]
    notes: tuple[str, ...]


def import_promptfoo(
    path: Path, name: str, model: str = "", threshold: float = 0.8
) -> ImportedPrompt:
    """Read a configuration of promptfoo; `model` replaces that of its first provider.

    Prompts that need the same variables become versions, tests become cases. `threshold` is
    written as the limit of criteria that need one.

    Raises:
        PromptInvalid: a file cannot be read, or there is no prompt that has a counterpart.
    """
    config = read_values(path)
    if not isinstance(config, Mapping):
        raise PromptInvalid(f"{path}: found no mapping; allowed: a configuration of promptfoo")
    notes, folder = Notes(), path.parent
    for key in sorted(set(config) - READ - {TEMPLATES}):
        notes.add("", f"`{key}` has no counterpart and is left out")
    texts = read_prompts(config.get("prompts"), folder, notes)
    found = read_model(config.get("providers") or config.get("targets"), model, notes)
    if not texts:
        lines = "\n".join(notes.lines)
        raise PromptInvalid(f"{path}: prompts: found none with a counterpart\n{lines}".strip())
    if found is None:
        raise PromptInvalid(f"{path}: providers: found no model; next: name one with --model")
    texts = _choose(texts, notes)
    templates = config.get(TEMPLATES)
    reader = AssertionReader(folder, templates if isinstance(templates, Mapping) else {}, notes)
    if templates is not None and not isinstance(templates, Mapping):
        notes.add("", f"`{TEMPLATES}` is no mapping and is left out")
    default = _read_default(config, folder, notes)
    asserted = [
        _mark_transformed(item) if _transforms(default) else item for item in _mappings(default)
    ]
    shared, _ = reader.read(asserted, {}, "defaultTest")
    cases = _read_cases(config, folder, reader, default, texts[0])
    criteria = [_dump(item) for item in shared]
    if not any(item.type == "safety" for item in shared):
        criteria.append(SAFETY)
        notes.add("", "criterion safety: added, every prompt has it here")
    described = config.get("description")
    comment = "".join(f"# {line}\n" for line in to_text(described).splitlines())
    files = {
        f"v{number}.yaml": comment
        + _write_version(text, name, number, {"model": found.name, **found.values}, criteria)
        for number, text in enumerate(texts, 1)
    }
    files["eval_set.jsonl"] = "".join(json.dumps(case, ensure_ascii=False) + "\n" for case in cases)
    all_criteria = [*shared, *(Criterion.model_validate(item) for item in _list_own(cases))]
    if limits := _state_limits(all_criteria, threshold, notes):
        files["limits.yaml"] = limits
    if not cases:
        notes.add("", "tests: none was imported; an empty evaluation set passes no gate")
    return ImportedPrompt(name, len(texts), len(cases), files, tuple(notes.lines))


def _choose(texts: list[ImportedText], notes: Notes) -> list[ImportedText]:
    """Return the prompts that need the variables of the first one: versions share their cases."""
    wanted = set(_variables(texts[0]))
    chosen = []
    for number, text in enumerate(texts, 1):
        if set(_variables(text)) == wanted:
            chosen.append(text)
            continue
        needs = ", ".join(_variables(text)) or "none"
        words = f"not imported: it needs other variables ({needs}) than the first one"
        notes.add(f"prompt text {number}", f"{words}; import it alone")
    return chosen


def _variables(text: ImportedText) -> tuple[str, ...]:
    return list_placeholders(text.system, *(turn for _, turn in text.messages), text.template)


def _read_default(config: Mapping[str, Any], folder: Path, notes: Notes) -> Test:
    default = config.get("defaultTest") or {}
    if isinstance(default, str):
        default = read_values(folder / default.removeprefix(FILE))
    if isinstance(default, Mapping):
        return default
    notes.add("defaultTest", f"{to_text(default)[:80]}: no test, left out")
    return {}


def _read_cases(
    config: Mapping[str, Any],
    folder: Path,
    reader: AssertionReader,
    default: Test,
    text: ImportedText,
) -> list[dict[str, Any]]:
    """Return the cases of all tests; tests of the same input become one case."""
    found = dict[str, dict[str, Any]]()
    wanted, notes = _variables(text), reader.notes
    for number, test in enumerate(read_tests(config, folder, notes), 1):
        place = f"test {number}"
        _note_keys(test, place, notes)
        merged = dict(merge_tests({"vars": default.get("vars")}, test))
        if _transforms(test) or _transforms(default):
            merged["assert"] = [_mark_transformed(item) for item in _mappings(merged)]
        for values in list_variants(merged, folder, place, notes):
            filled = flatten_variables(values)
            filled = {
                key: fill_variables(
                    item, {name: text for name, text in filled.items() if name != key}
                )
                for key, item in filled.items()
            }
            own, reference = reader.read(_mappings(merged), filled, place)
            for other in sorted(set(values) - set(wanted) - _heads(wanted)):
                notes.add("", f"variable {other}: no prompt shows it, it is left out of the cases")
            for missing in [item for item in wanted if item not in filled]:
                notes.add(place, f"variable {missing}: not given, an empty text stands for it")
            given = {item: filled.get(item, "") for item in wanted}
            if (key := json.dumps(given)) in found:
                notes.add(place, "the same input as a test before, joined with it in one case")
            case = found.setdefault(key, {"input": given})
            _extend(case, own, reference, test.get("description"), place, notes)
    _note_keys(default, "defaultTest", notes)
    return list(found.values())


def _note_keys(test: Test, place: str, notes: Notes) -> None:
    for key in sorted(set(test) - {"vars", "assert", "description"}):
        words = f"`{key}: {to_text(test[key])[:80]}` has no counterpart and is left out"
        notes.add(place, words)


def _transforms(test: Test) -> bool:
    """Return whether code changes the answers before they are judged."""
    options = test.get("options")
    return isinstance(options, Mapping) and bool(
        options.get("transform") or options.get("postprocess")
    )


def _mappings(test: Test) -> list[Any]:
    """Return a test's assertions; what is no mapping is none, and is named where it is read."""
    asserted = test.get("assert")
    return asserted if isinstance(asserted, list) else [asserted] if asserted else []


def _mark_transformed(assertion: Any) -> Any:
    return {"transform": True, **assertion} if isinstance(assertion, Mapping) else assertion


def _heads(names: tuple[str, ...]) -> set[str]:
    """Return what names may be parts of: `user` for `user_name`."""
    parts = [name.split("_") for name in names]
    return {"_".join(part[:n]) for part in parts for n in range(1, len(part))}


def _extend(
    case: dict[str, Any],
    own: list[Criterion],
    reference: str | None,
    description: Any,
    place: str,
    notes: Notes,
) -> None:
    """Add to a case what a test says of it."""
    if reference is not None and case.setdefault("expected", reference) != reference:
        notes.add(place, f"equals: another answer than before for the same input: {reference}")
    known = {item["name"] for item in case.get("per_case", [])}
    if doubles := [item.name for item in own if item.name in known and item.type != "exact"]:
        notes.add(place, f"{doubles[0]}: the same input and criterion as before, left out")
    if more := [_dump(item) for item in own if item.name not in known]:
        case.setdefault("per_case", []).extend(more)
    if isinstance(description, str) and description not in case.get("tags", []):
        case.setdefault("tags", []).append(description)


def _dump(criterion: Criterion) -> dict[str, Any]:
    return criterion.model_dump(mode="json", exclude_defaults=True)


def _list_own(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for case in cases for item in case.get("per_case", [])]


def _state_limits(criteria: list[Criterion], threshold: float, notes: Notes) -> str:
    """Return limits for the criteria that have none and need one; empty where all have."""
    bare = dict.fromkeys(item.name for item in criteria if find_limit(item, {}) is None)
    if not bare:
        return ""
    stated = {name: {"limit": threshold, "reason": REASON} for name in bare}
    notes.add("", f"limits.yaml: {threshold:g} for {', '.join(bare)}; choose your own")
    values = {"development": stated, "production": stated}
    return yaml.dump(values, Dumper=_Plain, sort_keys=False, allow_unicode=True)


class _Plain(yaml.SafeDumper):
    """YAML without aliases, with texts of several lines as blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write a value as often as it stands there."""
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text and not text.startswith((" ", "\n")) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Plain.add_representer(str, _represent_text)


def _write_version(
    text: ImportedText,
    name: str,
    number: int,
    values: Mapping[str, Any],
    criteria: list[dict[str, Any]],
) -> str:
    version: dict[str, Any] = {"name": name, "version": number, **values}
    if text.system:
        version["system"] = text.system
    version["template"] = text.template
    if text.messages:
        version["messages"] = [{"role": role, "content": turn} for role, turn in text.messages]
    version["eval_criteria"] = criteria
    return yaml.dump(version, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100)
