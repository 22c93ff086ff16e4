"""Two published versions of a prompt, and a short policy for their rollout."""

from pathlib import Path

from sluice.adapters.registry.client import Registry
from sluice.adapters.registry.prompts import PublishedPrompt
from sluice.adapters.service_versions import ServiceVersions, open_versions
from support.llm.live import PromptSite

POLICY = """
policy: {name}
block: 0.5 s
history: {history} s
pass_alpha: 0.05
rules:
  error_margin: {{margin: 0.2}}
  error_rate: {{margin: 0.3, alpha: 0.001}}
  latency_double: {{ratio: 100.0}}
  latency_margin: {{ratio: 10.0, min_effect_ms: 1000}}
  cost: {{ratio: 2.0, action: pause, cap: 5}}
stages:
  - {{name: shadow, weight: 0.0, min: {least} s, max: {longest} s,
      passes: [error_margin, disagreement]}}
  - {{name: canary, weight: 0.25, min: {least} s, max: {longest} s, passes: [error_margin]}}
  - {{name: half, weight: 0.50, min: {least} s, max: {longest} s, passes: [error_margin]}}
soak: 1 s
"""
"""The margins are wide: on a busy machine answers are slow, and some come late."""


def write_policy(folder: Path, name: str = "asked", **seconds: int) -> str:
    """Write a policy of seconds; return its path.

    `least` and `longest` are those of each stage, `history` of the traffic before.
    """
    file = folder / f"{name}.yaml"
    values = {"history": 3, "least": 1, "longest": 120, **seconds}
    file.write_text(POLICY.format(name=name, **values).lstrip(), encoding="utf-8")
    return str(file)


def publish_two(
    site: PromptSite, registry: Registry, name: str, has_candidate: bool = True
) -> ServiceVersions:
    """Publish v1, which serves, and v2, the candidate, which another model answers."""
    for version, model in ((1, "claude"), (2, "gpt")):
        site.publish(name, version, model=model)
        turns = (("user", "Greet {{person}}."),)
        shown = PublishedPrompt(name, version, f"{name} {version}", turns, {}, {})
        registry.publish_prompt(shown)
    if has_candidate:
        registry.mark_active(name, 2, "candidate")
    return open_versions(site.control, registry, name)
