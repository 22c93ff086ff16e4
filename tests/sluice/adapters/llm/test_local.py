"""The local model: its process, its endpoints, and how it ends."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import aiohttp
import pytest

from sluice.adapters.llm import local
from sluice.adapters.llm.client import LanguageModels
from sluice.adapters.llm.local import LocalModel, find_local_weights, start_local_model
from sluice.config.llm.loading import load_providers
from sluice.errors import ProviderRefused, ProviderUnavailable
from support.llm.asking import make_request

INSTALLED = all(find_spec(name) for name in (local.ENGINE_PACKAGE, local.WEIGHTS_PACKAGE))
needs_model = pytest.mark.skipif(not INSTALLED, reason="the local model is not installed")


@pytest.mark.parametrize("missing", [local.ENGINE_PACKAGE, local.WEIGHTS_PACKAGE])
def test_what_is_not_installed_is_told_with_the_command(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = local.find_spec
    monkeypatch.setattr(
        local, "find_spec", lambda name: None if name == missing else found(name) or object()
    )
    with pytest.raises(ProviderRefused, match=f"{missing} is missing.*; next: make local-llm"):
        find_local_weights()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalModel]:
    found = start_local_model("small-1", 1024, tmp_path_factory.mktemp("logs"))
    yield found
    found.stop()
    assert not found.is_alive


async def post(model: LocalModel, path: str, headers: dict[str, str]) -> tuple[int, str]:
    body = {"model": "small-1", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
    async with (
        aiohttp.ClientSession() as session,
        session.post(model.url + path, json=body, headers=headers) as response,
    ):
        return response.status, await response.text()


@needs_model
@pytest.mark.slow
def test_both_endpoints_answer_on_loopback_with_the_key_only(model: LocalModel) -> None:
    assert model.url.startswith("http://127.0.0.1:")
    for path, headers in (
        ("/v1/chat/completions", {"authorization": f"Bearer {model.key}"}),
        ("/v1/messages", {"x-api-key": model.key}),
    ):
        assert asyncio.run(post(model, path, {}))[0] == 401
        status, text = asyncio.run(post(model, path, headers))
        assert (status, "small-1" in text) == (200, True)


@needs_model
@pytest.mark.slow
def test_a_prompt_s_model_is_answered_by_it_in_development(tmp_path: Path) -> None:
    request = make_request("claude-sonnet-4", "Say hello.", max_tokens=8, temperature=0.0)

    async def ask_twice() -> None:
        async with LanguageModels(load_providers(), "development", tmp_path) as models:
            first, second = [await models.complete(request) for _ in range(2)]
        assert first.text == second.text != ""
        assert (first.provider, first.model) == ("local", "smollm2-135m-instruct")
        assert (first.cost, first.usage.output) == (0.0, 8)

    asyncio.run(ask_twice())


@needs_model
@pytest.mark.slow
def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; "
        "from sluice.adapters.llm.local import start_local_model; "
        "print(start_local_model('m', 512, Path(sys.argv[1])).pid, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.slow
def test_weights_that_cannot_be_loaded_are_told_with_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"no weights")
    bad = local.LocalWeights(tmp_path / "bad.gguf", "bad")
    monkeypatch.setattr(local, "find_local_weights", lambda: bad)
    with pytest.raises(ProviderUnavailable, match=r"does not start: .*local-llm\.log"):
        start_local_model("m", 512, tmp_path)
