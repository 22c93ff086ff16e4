"""A prompt that serves, with the evaluation of its release; its model has a fallback."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from sluice.adapters.control.store import prepare_control
from sluice.adapters.storage import write_whole
from sluice.config.llm.loading import load_language_serving
from sluice.control.route import Route
from sluice.home import Home
from sluice.prompts.folder import load_prompt
from sluice.prompts.published import write_published
from support.llm.answers import AskedRequest, FakeAnswer
from support.llm.asking import KEY_VARIABLE
from support.llm.provider import KEY, FakeProvider
from support.prompts import (
    answer_small,
    use_prompts,
    write_small_prompt,
    write_small_providers,
)
from support.servers.images import use_home
from tasks.prompts.live.checking import plan_version
from tasks.prompts.version import EvaluationReporter, evaluate_version, store_evaluation

SILENT = EvaluationReporter(lambda _words: None, lambda _prompt, _event, _payload: None)
PROMPT = "classify"
SPARE = "claude-sonnet-4-5"
"""The exact model of the fallback."""


def answer_worse(asked: AskedRequest) -> FakeAnswer:
    """Answer as a model that was changed, with a sentence; the fallback gives the label."""
    if asked.body["model"] == SPARE:
        return answer_small(asked)
    return FakeAnswer(text=f"It is about {answer_small(asked).text}.", input_tokens=50)


@contextmanager
def serve_prompt(provider: FakeProvider, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Home]:
    """Give the state folder of a prompt whose version 1 was evaluated, published and serves."""
    provider.reset(answer_small)
    patch.setenv(KEY_VARIABLE, KEY)
    prompts, configs = folder / "prompts", folder / "configs"
    write_small_prompt(prompts)
    write_small_providers(configs, provider.url)
    file = configs / "llm" / "providers.yaml"
    config = yaml.safe_load(file.read_text())
    model = config["models"]["claude-sonnet-4"]
    config["models"]["spare"] = {**model, "id": SPARE}
    model["fallback"] = "spare"
    file.write_text(yaml.safe_dump(config))
    budgets = {"services": {PROMPT: {"budgets": {"service": {"day": 5}}}}}
    (configs / "llm" / "serving.yaml").write_text(yaml.safe_dump(budgets))
    use_prompts(prompts, configs, patch)
    patch.setattr(load_language_serving, "__defaults__", (configs,))
    with use_home(folder / "home") as home:
        found = load_prompt(PROMPT)
        version = found.versions[1]
        published = home.published_prompts(PROMPT)
        published.mkdir(parents=True)
        write_whole({published / name: text for name, text in write_published(version).items()})
        prepare_control(home).routes.swap(None, Route(PROMPT, 1, kind="prompt"))
        given = plan_version(found, version)
        store_evaluation(evaluate_version(given, found, 1, SILENT))
        yield home
