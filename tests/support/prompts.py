"""Folders of prompts for tests: a valid one to begin with, changed by each test."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.llm.answers import AskedRequest, FakeAnswer
from support.llm.asking import KEY_VARIABLE

VERSION: dict[str, Any] = {
    "name": "greet",
    "version": 1,
    "model": "claude-sonnet-4",
    "temperature": 0,
    "max_tokens": 50,
    "system": "Be short.",
    "template": "Greet {person}.",
    "eval_criteria": [{"name": "short", "type": "length", "expected": {"max_words": 5}}],
}


def write_version(root: Path, **changes: Any) -> Path:
    """Write a version of the prompt `greet`; a change to None leaves a key out."""
    values = {key: value for key, value in (VERSION | changes).items() if value is not None}
    folder = root / "greet"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"v{values.get('version', 1)}.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return path


def write_rows(path: Path, rows: Sequence[Mapping[str, Any] | str]) -> Path:
    """Write lines of JSON; a text is a line as it stands."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def write_prompt(root: Path, rows: Sequence[Mapping[str, Any] | str], **changes: Any) -> Path:
    """Write the prompt `greet` with one version and the given cases; return its folder."""
    folder = write_version(root, **changes).parent
    write_rows(folder / "eval_set.jsonl", rows)
    return folder


LABELS = ("billing", "delivery")
"""The labels of the small prompt; its ticket names the right one."""


def write_small_prompt(root: Path, cases: int = 60, name: str = "classify") -> Path:
    """Write a prompt with two versions, few cases and limits that they can decide; v1 is wished."""
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    for number in (1, 2):
        write_small_version(folder, number)
    write_rows(folder / "eval_set.jsonl", small_cases(cases))
    write_small_limits(folder, 0.9)
    wish_version(folder, 1)
    return folder


def small_cases(count: int) -> list[dict[str, Any]]:
    labels = [LABELS[number % len(LABELS)] for number in range(count)]
    return [
        {"input": {"ticket": f"Ticket {number} about {label}."}, "expected": label}
        for number, label in enumerate(labels)
    ]


def write_small_version(folder: Path, number: int, **changes: Any) -> Path:
    values = {
        "name": folder.name,
        "version": number,
        "model": "claude-sonnet-4",
        "temperature": 0,
        "max_tokens": 20,
        "system": f"You sort tickets; version {number}.",
        "template": "{ticket}",
        "eval_criteria": [{"name": "label", "type": "label", "expected": list(LABELS)}],
        **changes,
    }
    path = folder / f"v{number}.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return path


def write_small_limits(folder: Path, limit: float) -> None:
    stated = {"limit": limit, "reason": "few cases, for a test"}
    limits = {
        "development": {"format_valid": stated, "safety": stated},
        "gates": {"development": {"bias": {"on_missing": "notice"}, "reason": "it is a test"}},
    }
    (folder / "limits.yaml").write_text(yaml.safe_dump(limits), encoding="utf-8")


def wish_version(folder: Path, version: int) -> None:
    text = f"development: {{{folder.name}: {version}}}\n"
    (folder.parent / "config.yaml").write_text(text, encoding="utf-8")


def let_settle(root: Path) -> None:
    """Let all files be a minute old, as if nobody were writing."""
    long_ago = time.time() - 60
    for path in root.rglob("*"):
        os.utime(path, (long_ago, long_ago))


def answer_small(asked: AskedRequest) -> FakeAnswer:
    """Answer with the label that the ticket names."""
    label = next(label for label in LABELS if label in asked.question)
    return FakeAnswer(text=label, input_tokens=50, output_tokens=2)


def write_small_providers(configs: Path, url: str) -> None:
    """Let an address answer as the one provider of a folder of configurations."""
    model = {"context": 100_000, "max_tokens": 4_000}
    key = {"env": KEY_VARIABLE}
    providers = {
        "providers": {"near": {"kind": "anthropic", "url": url, "key": key}},
        "models": {"claude-sonnet-4": {"provider": "near", "id": "claude-haiku-4-5", **model}},
    }
    file = configs / "llm" / "providers.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(providers), encoding="utf-8")


def use_prompts(prompts: Path, configs: Path, patch: pytest.MonkeyPatch) -> None:
    """Let this process read prompts and providers from other folders than the project's."""
    from sluice.config.llm.loading import find_providers_file, load_providers
    from sluice.prompts import folder, listing

    functions = (listing.list_prompts, folder.find_folder, folder.load_version)
    for function in (*functions, folder.load_prompt, folder.load_active):
        rest = (function.__defaults__ or ())[1:]
        patch.setattr(function, "__defaults__", (prompts, *rest))
    for function in (find_providers_file, load_providers):
        patch.setattr(function, "__defaults__", (configs,))
    for module in ("version", "estimating", "live.sampling"):  # where judges are found
        patch.setattr(f"tasks.prompts.{module}.PROMPTS", prompts)
