"""The prompts and configurations of the demonstration's world, cut to what a laptop asks soon."""

import shutil
from pathlib import Path

import yaml

from demo.prompts.live.world import write_live_configs, write_reply
from demo.prompts.stories import BAD, CLEAN, GOOD, LIVE, MODEL, PROMPT
from sluice.config.yaml_file import read_mapping
from sluice.home import CONFIGS, PROMPTS
from sluice.prompts.active import ACTIVE
from sluice.prompts.cases import EVAL_SET, read_eval_set
from sluice.prompts.limits import LIMITS

OF_A_LABEL = 12
"""Cases of each label: the first ones in the file, whatever the model makes of them."""
PRICE, SPEND = 2.0, 0.03
"""US dollars per million tokens, and for the whole evaluation, of the story `budget`."""


def write_prompts(folder: Path, story: str) -> Path:
    """Write the prompts of a story's world; return their folder.

    It has the versions for the local model, 60 of the cases and no bias set: its 400 cases are
    1,600 calls.

    Raises:
        OSError: the folder cannot be written.
        PromptInvalid: the evaluation set is not valid.
    """
    source, target = PROMPTS / PROMPT, folder / PROMPT
    target.mkdir(parents=True, exist_ok=True)
    for name in (f"v{GOOD}.yaml", f"v{BAD}.yaml", LIMITS):
        shutil.copy(source / name, target / name)
    (target / EVAL_SET).write_text("".join(choose_lines(source / EVAL_SET)), encoding="utf-8")
    wished = yaml.safe_dump({"development": {PROMPT: GOOD}})
    (folder / ACTIVE).write_text(wished, encoding="utf-8")
    if story == "budget":
        limits = read_mapping(target / LIMITS)
        reason = "the budget of this story ends in the middle of the cases"
        limits["gates"] = {"development": {"spend": SPEND, "reason": reason}}
        (target / LIMITS).write_text(yaml.safe_dump(limits, sort_keys=False), encoding="utf-8")
    if story in (CLEAN, *LIVE):
        write_reply(folder, story)
    return folder


def write_configs(folder: Path, story: str) -> Path:
    """Write the configurations of a story's world; return their folder.

    Raises:
        OSError: the folder cannot be written.
    """
    shutil.copytree(CONFIGS, folder, dirs_exist_ok=True)
    if story == "budget":
        file = folder / "llm" / "providers.yaml"
        values = read_mapping(file)
        values["models"][MODEL]["price"] = {"input": PRICE, "output": PRICE}
        file.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    if story in (CLEAN, *LIVE):
        write_live_configs(folder)
    return folder


def choose_lines(path: Path) -> list[str]:
    """Return the lines of the first 12 cases of each label, in the order of the file."""
    text = path.read_text(encoding="utf-8").split("\n")
    counts: dict[str, int] = {}
    chosen = []
    for line, case in read_eval_set(path).rows.items():
        label = case.expected or ""
        counts[label] = counts.get(label, 0) + 1
        if counts[label] <= OF_A_LABEL:
            chosen.append(f"{text[line - 1]}\n")
    return chosen


def edit_version(folder: Path, version: int) -> None:
    """Edit a version's file, as somebody does who does not know that it was published."""
    file = folder / PROMPT / f"v{version}.yaml"
    text = file.read_text(encoding="utf-8")
    changed = text.replace("You sort support tickets.", "You sort the tickets of our support.", 1)
    file.write_text(changed, encoding="utf-8")
