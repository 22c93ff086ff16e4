"""The evaluations of prompts that are kept in the state folder, read for monitoring."""

from contextlib import suppress
from pathlib import Path

from sluice.documents import read_json
from sluice.home import Home
from sluice.prompts.evaluation.results import PromptEvaluation, mean_known


def find_evaluation(home: Home, prompt: str, version: int) -> PromptEvaluation | None:
    """Return the evaluation of a version in its release; None where none is kept here.

    It is that of the content that was published. One that cannot be read counts as none.
    """
    published = sorted(home.published_prompts(prompt).glob(f"v{version}-*.yaml"))
    if len(published) != 1:
        return None
    identity = published[0].stem.partition("-")[2]
    place = find_place(home, prompt, version, identity)
    with suppress(OSError, KeyError, TypeError, ValueError):
        found = PromptEvaluation.from_dict(read_json(place))
        return found if found.identity == identity else None
    return None


def find_place(home: Home, prompt: str, version: int, identity: str) -> Path:
    """Return the file of a release's evaluation of a version, whether it is there or not."""
    return home.evaluations(prompt) / "answers" / f"v{version}-{identity[:12]}.json"


def find_expected_tokens(home: Home, prompt: str, version: int) -> float | None:
    """Return the mean tokens of an answer in a version's release; None where nobody knows."""
    found = find_evaluation(home, prompt, version)
    if found is None:
        return None
    answers = [item for case in found.cases for item in case.answers if not item.failure]
    return mean_known(item.tokens for item in answers)
