"""The flow `check_prompts` on a real server: a fall is one event, and the run stays green."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.home import Home
from support.llm.provider import FakeProvider, run_provider
from support.llm.served import PROMPT, answer_worse, serve_prompt
from support.releases.runs import artifacts_of
from support.releases.sources import events_of

pytestmark = pytest.mark.slow


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with run_provider() as found:
        yield found


@pytest.fixture
def served(
    api: str, provider: FakeProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Home]:
    with serve_prompt(provider, tmp_path, monkeypatch) as home:
        yield home


def test_a_fall_is_told_once_and_the_fallback_is_asked(
    api: str, served: Home, provider: FakeProvider
) -> None:
    from flows.prompts.check_prompts import check_prompts

    good = check_prompts(return_state=True)
    assert good.is_completed(), good.message
    assert str(good.message).startswith(f"{PROMPT} v1: pass")
    assert events_of(api, PROMPT, "prompt.regressed") == []
    provider.reset(answer_worse)
    fallen = check_prompts(PROMPT, return_state=True)
    assert fallen.is_completed(), fallen.message
    assert str(fallen.message).startswith(f"{PROMPT} v1: fail")
    (event,) = events_of(api, PROMPT, "prompt.regressed")
    assert event["payload"]["version"] == 1
    assert "format_valid" in event["payload"]["checks"]
    again = check_prompts(PROMPT, cause="prompt.regressed", return_state=True)
    assert str(again.message).endswith(f"{PROMPT} by its fallback: pass")
    assert len(events_of(api, PROMPT, "prompt.regressed")) == 1
    page = artifacts_of(again)[f"{PROMPT}-prompt-check"]
    assert "The fallback is" in page.data
