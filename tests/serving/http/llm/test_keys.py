"""Keys and methods at the endpoints of prompts and models, in each dialect's own words."""

import asyncio
import json
from hashlib import sha256
from typing import Any

import pytest

from serving.http.admission import CallerAdmission
from serving.http.hosts import AllowedHosts, list_hosts
from serving.http.keys import ApiKey, Keyring
from serving.http.llm.endpoints import LanguageEndpoints
from serving.http.llm.handler import name_direct
from serving.routing.model_table import ModelTable
from sluice.config.serving import GatewayConfig, LimitsConfig

OPENS_GREET, OPENS_MODEL = b"key-of-greet", b"key-of-a-model"
HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}


def make_key(key: bytes, service: str) -> ApiKey:
    return ApiKey(sha256(key).hexdigest().encode(), frozenset({service}))


class Log:
    """A request log with room."""

    is_full = False


def ask(
    path: str, body: dict[str, Any], key: bytes = b"", method: str = "POST"
) -> tuple[int, dict[str, Any]]:
    """Ask endpoints that know two keys and no prompt; return status and body of the reply."""
    keyring = Keyring([make_key(OPENS_GREET, "greet"), make_key(OPENS_MODEL, name_direct("gpt"))])
    admission = CallerAdmission(AllowedHosts(list_hosts(GatewayConfig())), keyring)
    parts: Any = type("Parts", (), {"request_log": Log()})()
    providers: Any = None  # whoever is refused asks none
    table = ModelTable(has_routes=True)
    endpoints = LanguageEndpoints(parts, providers, admission, LimitsConfig(), lambda: table)
    headers = [(b"host", b"127.0.0.1:8080"), (b"content-type", b"application/json")]
    headers += [(b"authorization", b"Bearer " + key)] if key else []
    scope = {"type": "http", "method": method, "path": path, "headers": headers}
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(endpoints.answer({**scope, "server": ("127.0.0.1", 8080)}, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_a_prompt_needs_a_key_that_opens_it() -> None:
    status, body = ask("/v1/prompts/greet", {})
    assert (status, "no API key" in body["error"]) == (401, True)
    status, body = ask("/v1/prompts/greet", {}, OPENS_MODEL)
    assert (status, "does not open greet" in body["error"]) == (401, True)
    assert ask("/v1/prompts/greet", {}, OPENS_GREET)[0] == 404


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_key_opens_the_prompt_or_model_that_a_body_names(path: str) -> None:
    model, prompt = {**HELLO, "model": "gpt"}, {**HELLO, "model": "prompt:greet"}
    for body, key in ((model, b""), (model, OPENS_GREET), (prompt, OPENS_MODEL)):
        status, found = ask(path, body, key)
        assert status == 401
        assert found["error"]["type"] == "authentication_error"
    assert ask(path, prompt, OPENS_GREET)[0] == 404


def test_another_method_is_refused_in_each_dialect() -> None:
    assert "error" in ask("/v1/prompts/greet", {}, OPENS_GREET, "GET")[1]
    for path in ("/v1/chat/completions", "/v1/messages"):
        status, body = ask(path, {}, OPENS_GREET, "GET")
        assert (status, body["error"]["message"]) == (405, "method: found GET; allowed: POST")
