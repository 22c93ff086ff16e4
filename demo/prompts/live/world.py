"""The prompt, the provider's settings and the policy of the live part, in the story's own world."""

import json
from pathlib import Path
from typing import Any

import yaml

from demo.prompts.live.tickets import NAMES_PEOPLE, QUOTES_HISTORY, REVISION
from sluice.config.yaml_file import read_mapping
from sluice.home import PROMPTS
from sluice.prompts.active import ACTIVE
from sluice.prompts.cases import EVAL_SET, read_eval_set
from sluice.prompts.limits import LIMITS

REPLY, POLICY = "reply", "demo-prompts"
"""The prompt of the live part, and the policy of its rollout."""
FIRST, SECOND = 1, 2
MODEL, PROVIDER = "desk", "simulated"
PRICE = {"input": 0.1, "output": 2.0}
"""US dollars per million tokens of the simulated model."""
TEXT_LIMIT = 400
"""Characters from which a caller finds an answer too long."""
INSTRUCTIONS = "You answer tickets of our support desk in one sentence. Name the team."
ADDED = {
    "": "Be friendly.",
    "unsafe": f"{NAMES_PEOPLE} who can help, where somebody asks for one.",
    "dear": f"{QUOTES_HISTORY} before, where somebody quotes it.",
    "silent": "Be friendly.",
}
"""What the second version adds to the instructions, by story."""
RULES: dict[str, Any] = {
    "error_margin": {"margin": 0.1},
    "error_rate": {"margin": 0.2, "alpha": 0.001},
    "latency_margin": {"ratio": 3.0, "min_effect_ms": 500},
    "latency_double": {"ratio": 20.0},
    "cost": {"ratio": 2.0, "action": "pause", "cap": 5},
    "feedback": {"ratio": 2.0, "action": "pause"},
}
"""Limits that some hundred answers of a laptop can prove; those of time say little there."""


def write_reply(folder: Path, story: str) -> None:
    """Write the prompt `reply` into a folder of prompts, with both versions and the cases.

    Raises:
        OSError: the folder cannot be written.
        PromptInvalid: the evaluation set of `classify` is not valid.
    """
    target = folder / REPLY
    target.mkdir(parents=True, exist_ok=True)
    texts = {FIRST: INSTRUCTIONS, SECOND: f"{INSTRUCTIONS} {ADDED.get(story, ADDED[''])}"}
    for number, system in texts.items():
        _write(target / f"v{number}.yaml", _describe_version(number, system))
    cases = [{"input": {"ticket": ticket}} for ticket in read_cases(folder)]
    lines = "".join(f"{json.dumps(case)}\n" for case in cases)
    (target / EVAL_SET).write_text(lines, encoding="utf-8")
    stated = {"limit": 0.9, "reason": "as much as 60 cases can prove"}
    _write(target / LIMITS, {"development": {"format_valid": stated, "safety": stated}})
    wished = read_mapping(folder / ACTIVE)
    wished["development"] = {**wished["development"], REPLY: FIRST}
    _write(folder / ACTIVE, wished)


def _describe_version(number: int, system: str) -> dict[str, Any]:
    return {
        "name": REPLY,
        "version": number,
        "model": MODEL,
        "temperature": 0,
        "max_tokens": 400,
        "system": system,
        "template": "{ticket}",
        "eval_criteria": [
            {"name": "short", "type": "length", "expected": {"max_words": 80}},
            {"name": "team", "type": "regex", "expected": r"our \w+ team"},
            {"name": "helps", "type": "refusal", "expected": False},
            {"name": "safe", "type": "safety"},
        ],
    }


def write_live_configs(folder: Path) -> None:
    """Write the policy, and how the prompt answers callers, into a folder of configurations.

    Raises:
        OSError: the folder cannot be written.
    """
    stages = [
        {"name": "shadow", "weight": 0.0, "passes": ["error_margin", "disagreement"]},
        {"name": "canary", "weight": 0.25, "passes": ["error_margin"]},
        {"name": "half", "weight": 0.5, "passes": ["error_margin"]},
    ]
    policy = {
        "policy": POLICY,
        "description": "Shadow, 25 and 50 percent in about a minute, on replayed tickets.",
        "block": "1 s",
        "history": "15 s",
        "pass_alpha": 0.05,
        "rules": RULES,
        "stages": [{**stage, "min": "12 s", "max": "45 s"} for stage in stages],
        "soak": "5 s",
    }
    _write(folder / "policies" / f"{POLICY}.yaml", policy)
    file = folder / "llm" / "serving.yaml"
    values = read_mapping(file)
    route = {"assign_by": "request", "arm_timeout_ms": 5000}
    rollout = {"policy": POLICY, "start": "manual", "route": route}
    values["services"] = {**values.get("services", {}), REPLY: {"rollout": rollout}}
    _write(file, values)


def write_provider(folder: Path, url: str) -> None:
    """Name the simulated provider, and its model, in a folder of configurations.

    Raises:
        OSError: the folder cannot be written.
    """
    file = folder / "llm" / "providers.yaml"
    values = read_mapping(file)
    values["providers"][PROVIDER] = {"kind": "openai", "url": f"{url}/v1", "key": None}
    facts = {"provider": PROVIDER, "id": REVISION, "context": 8000, "max_tokens": 1000}
    values["models"][MODEL] = {**facts, "price": PRICE}
    _write(file, values)


def read_cases(folder: Path) -> list[str]:
    """Return the tickets of the evaluation set that the world has of `classify`."""
    found = read_eval_set(folder / "classify" / EVAL_SET)
    given = [case.input for case in found.cases]
    return [item if isinstance(item, str) else item["ticket"] for item in given]


def read_tickets() -> list[str]:
    """Return the tickets of the evaluation set of the world that the environment names."""
    return read_cases(PROMPTS)


def _write(file: Path, values: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
