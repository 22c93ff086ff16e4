"""`python -m demo.prompts.play STORY`: one story of a prompt, in the world of the environment."""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cli.output import EXIT_GATE, say, show_rows
from cli.prompts.results import find_report, run_prompt_release
from cli.runs import RunResult, open_terminal
from demo.ending import play_to_end, show_pages
from demo.prompts.live.play import play_live
from demo.prompts.live.world import REPLY
from demo.prompts.stories import BAD, CLEAN, GOOD, LIVE, MODEL, PROMPT, STORIES, PromptStory
from demo.prompts.world import PRICE, SPEND, edit_version
from sluice.adapters.control.store import open_control
from sluice.adapters.prompt_wishes import find_serving as find_champion
from sluice.adapters.server.background import ShutdownSignals
from sluice.home import PROMPTS, find_home
from sluice.prompts.folder import Prompt, load_prompt

REFUSED_IN_PRODUCTION = "ConfigInvalid"
"""The error of a model that `environments.production` refuses."""


def main() -> int:
    """Play the story; return 0 where it went as it has to."""
    parser = argparse.ArgumentParser(prog="demo.prompts.play")
    parser.add_argument("story", choices=tuple(STORIES))
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    with ShutdownSignals() as signals:
        return play_to_end(
            lambda: _play_in_terminal(arguments.story, arguments.keep),
            lambda: signals.exit_code,
        )


def _play_in_terminal(name: str, keep: bool) -> int:
    started, found = time.monotonic(), load_prompt(PROMPT)
    prompt = REPLY if name in LIVE else PROMPT
    say(f"Sluice: versions of the prompt `{prompt}` go through their gates: {STORIES[name].title}")
    say(f"state, server and ports of its own, in {find_home().root}")
    if name not in LIVE:
        _introduce(found)
    with open_terminal(is_for_prompts=True):
        if name in LIVE:
            is_right = play_live(name, STORIES[name])
        else:
            is_right = _play(name, found) and (name != CLEAN or play_live("", STORIES[name]))
        show_pages(started, keep=keep)
    return 0 if is_right else EXIT_GATE


def _introduce(found: Prompt) -> None:
    """Say what is asked, of which model, and which limits hold here."""
    cases = len(found.eval_set.cases)
    say(f"{cases} tickets, as many of each label, are put to {MODEL}, on this machine and offline")
    for check, limit in found.limits.development.items():
        say(f"limit here: {check} proved above {limit.limit:g}: {limit.reason}")


def _play(name: str, found: Prompt) -> bool:
    """Play a story; return whether it went as it has to."""
    story = STORIES[name]
    if name == "bad":
        say(f"\nv{BAD}, the first version, leaves the worked examples out")
        result = run_prompt_release(PROMPT, BAD, "the first version")
        show_answers(BAD)
        return conclude(story, result, None)
    if name == "budget":
        say(f"\nThe model costs ${PRICE:g} per million tokens here, and an evaluation ${SPEND:g}")
        return conclude(story, run_prompt_release(PROMPT, GOOD, "the first version"), None)
    examples = len(found.versions[GOOD].examples)
    say(f"\nv{GOOD}, the first version: {examples} worked examples stand before each ticket")
    if run_prompt_release(PROMPT, GOOD, "the first version").code or find_serving() != GOOD:
        say(f"it did NOT go as it has to: v{GOOD} had to be published, and serve")
        return False
    say(f"{PROMPT} v{GOOD} is published, and serves")
    if name == CLEAN:
        say(f"\nv{BAD} leaves the worked examples out, which saves tokens")
        result = run_prompt_release(PROMPT, BAD, "fewer tokens")
        show_answers(BAD)
        return conclude(story, result, GOOD) and _ask_for_production()
    edit_version(PROMPTS, GOOD)
    say(f"\nSomebody edits v{GOOD}.yaml, which is published, and publishes it again")
    return conclude(story, run_prompt_release(PROMPT, GOOD, "an edit"), GOOD)


def show_answers(version: int) -> None:
    """Print what the model made of the first ticket of each label, from a version's report."""
    from tasks.prompts.reporting import read_report

    page = find_report(PROMPT, version, 0.0)
    if page is None:
        return
    found = read_report(page)
    before = {case.case: case for case in found.old.cases} if found.old else {}
    rows = dict[str, dict[str, str]]()
    for case in found.new.cases:
        if case.expected in rows:
            continue
        row = {"ticket": case.given, "label": case.expected}
        if found.old:
            row[f"v{found.old.version} said"] = before[case.case].answers[0].text
        row[f"v{version} said"] = case.answers[0].text
        rows[case.expected] = row
    show_rows("the first ticket of each label", list(rows.values()))


def _ask_for_production() -> bool:
    """Try the version that serves in `production`, which refuses the local model by name."""
    say(f"\nv{GOOD} in production: no gate is asked, since its model may not answer there")
    with _in_production():
        result = run_prompt_release(PROMPT, GOOD, "production", is_published=False)
    if result.error == REFUSED_IN_PRODUCTION and MODEL in result.finding:
        say("refused, as intended")
        return True
    say(f"NOT refused: {MODEL} may not answer in production")
    return False


def conclude(story: PromptStory, result: RunResult, serves: int | None) -> bool:
    """Say whether a story's fault was caught, and whether what served before still serves."""
    found = find_serving()
    words = f"v{found} still serves" if found else "no version serves"
    if result.error == story.caught_by and found == serves:
        say(f"caught, as intended: {result.error}; {words}")
        return True
    ended = f"{result.error}: {result.finding}" if result.error else "nothing stopped it"
    say(f"NOT caught: {story.title} had to end as {story.caught_by}; {ended}; {words}")
    return False


def find_serving() -> int | None:
    """Return the version that serves by the control store's route."""
    return find_champion(open_control(find_home()), PROMPT)


@contextmanager
def _in_production() -> Iterator[None]:
    before = os.environ["SLUICE_ENV"]
    os.environ["SLUICE_ENV"] = "production"
    try:
        yield
    finally:
        os.environ["SLUICE_ENV"] = before


if __name__ == "__main__":
    sys.exit(main())
