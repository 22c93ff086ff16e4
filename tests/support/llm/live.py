"""A gateway that serves prompts: published versions, a provider of the tests, real processes."""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from serving.log.records import Answer
from sluice.adapters.storage import write_whole
from sluice.control.route import Route
from sluice.prompts.published import write_published
from sluice.prompts.version import PromptVersion
from support.gateway.site import Running, Site, read_answers, run_gateway, wait_until
from support.llm.asking import KEY_VARIABLE, describe_config
from support.llm.provider import KEY, FakeProvider
from support.prompts import VERSION

PROMPT = "greet"
LIMITS = {"first_byte": "1 s", "gap": "1 s", "whole": "2 s"}
PRODUCTION = {"first_byte": "30 s", "gap": "15 s", "whole": "120 s"}
"""For benchmarks: a busy machine must not look like a provider that does not answer."""


class PromptSite(Site):
    """A state folder with the providers of a test."""

    def __init__(
        self,
        folder: Path,
        provider: FakeProvider,
        models: Mapping[str, Any] | None = None,
        serving: Mapping[str, Any] | None = None,
        limits: Mapping[str, str] = LIMITS,
        **settings: Any,
    ) -> None:
        super().__init__(folder, **{"workers": 1, "spare_worker": False, **settings})
        config = json.loads(json.dumps(describe_config(provider, limits, models=models)))
        config["models"]["gpt"]["price"] = {"input": 0.4, "output": 1.6}
        config["models"]["spare"] = {**config["models"]["gpt"], "id": "gpt-4.1-nano"}
        config["models"]["careful"] = {**config["models"]["claude"], "fallback": "spare"}
        (self.configs / "llm").mkdir()
        self._write("providers.yaml", config)
        self._write("serving.yaml", serving or {})

    def _write(self, name: str, values: Mapping[str, Any]) -> None:
        (self.configs / "llm" / name).write_text(yaml.safe_dump(values), encoding="utf-8")

    def publish(self, name: str = PROMPT, version: int = 1, **changes: Any) -> None:
        """Publish a version, and make it the champion where the prompt has none."""
        values = {**VERSION, "model": "claude", "name": name, "version": version, **changes}
        found = PromptVersion.model_validate(values)
        folder = self.home.published_prompts(name)
        folder.mkdir(parents=True, exist_ok=True)
        write_whole({folder / file: text for file, text in write_published(found).items()})
        if self.control.routes.find(name) is None:
            self.control.routes.swap(None, Route(name, version, kind="prompt"))


@contextmanager
def run_prompts(site: PromptSite, **variables: str) -> Iterator[Running]:
    """Run a gateway of one worker that has the provider's key."""
    with run_gateway(site, **{KEY_VARIABLE: KEY, **variables}) as running:
        yield running


def find_record(running: Running, service: str, request_id: str) -> Answer:
    """Return the record of a request, once it is in the log."""
    found: list[Answer] = []

    def is_logged() -> bool:
        answers = read_answers(running.folder, service)
        found[:] = [item for item in answers if item.request_id == request_id]
        return bool(found)

    wait_until(is_logged, 10)
    assert len(found) == 1
    return found[0]


def read_events(text: bytes) -> list[tuple[str, Any]]:
    """Return the events of a stream: name and data."""
    events = []
    for block in text.decode().strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        data = fields["data"]
        events.append((fields.get("event", ""), data if data == "[DONE]" else json.loads(data)))
    return events


def hang_up_after(running: Running, path: str, body: Any, mark: bytes) -> bytes:
    """Send a request, read until a mark is there, and close the connection."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", running.port), 20) as connection:
        connection.sendall(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
        found = b""
        while mark not in found:
            part = connection.recv(65536)
            assert part, found
            found += part
    return found
