"""The file of the providers: what it may hold, and what each mistake is called."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice.config.llm.loading import find_providers_file, load_providers
from sluice.errors import ConfigInvalid
from sluice.home import PROJECT

MODEL = {"provider": "mine", "id": "m-1", "context": 1000, "max_tokens": 100}
VALID: dict[str, Any] = {
    "providers": {"mine": {"kind": "openai", "url": "http://127.0.0.1:8000/v1", "key": None}},
    "models": {"m-1.5": MODEL},
}


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "llm" / "providers.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump({**VALID, **changes}, sort_keys=False))
    return folder


def change(section: str, name: str, **changes: Any) -> dict[str, Any]:
    return {section: {name: {**VALID[section][name], **changes}}}


def test_the_file_of_the_project_is_valid() -> None:
    config = load_providers()
    assert {"claude-sonnet-4", "smollm2-135m"} <= set(config.models)
    assert config.environments["development"].instead["claude-sonnet-4"] == "smollm2-135m"
    assert "smollm2-135m" in config.environments["production"].refused


def test_a_folder_without_the_file_has_that_of_the_project(tmp_path: Path) -> None:
    assert find_providers_file(tmp_path) == PROJECT / "configs" / "llm" / "providers.yaml"
    assert find_providers_file(write(tmp_path)) == tmp_path / "llm" / "providers.yaml"


def test_a_server_without_a_key_is_valid(tmp_path: Path) -> None:
    provider = load_providers(write(tmp_path)).providers["mine"]
    assert provider.kind == "openai"
    assert provider.key is None


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": (change("providers", "mine", keys="x"), r"providers\.mine\.keys: unknown key"),
    "unknown kind": (change("providers", "mine", kind="azure"), "found 'azure'; allowed: "),
    "no kind": ({"providers": {"mine": {}}}, r"mine\.kind: Field required; allowed: anthropic"),
    "the key itself": (
        change("providers", "mine", key="sk-1"),
        r"providers\.mine\.key: found something else; allowed: {env: NAME} or {file: PATH}, no key",
    ),
    "the key as a name": (
        change("providers", "mine", key={"env": "sk-1"}),
        r"key\.env: found something else; allowed: the name of an environment variable, no key",
    ),
    "the key as a path": (
        change("providers", "mine", key={"file": "sk-1"}),
        r"key\.file: found something else; allowed: an absolute path, no key",
    ),
    "the key under a name": (change("providers", "mine", key={"value": "sk-1"}), "unknown key"),
    "two places": (
        change("providers", "mine", key={"env": "A", "file": "/b"}),
        "found both of env and file; allowed: one of them",
    ),
    "no place": (change("providers", "mine", key={}), "found neither of env and file"),
    "no address": (change("providers", "mine", url="host/v1"), "allowed: an address such as"),
    # pragma: allowlist nextline secret
    "a login": (change("providers", "mine", url="https://a:b@h/v1"), "has a login"),
    "time without unit": (
        change("providers", "mine", limits={"gap": 30}),
        r"limits\.gap: found 30; allowed: a number and s, min, h or d",
    ),
    "no time": (change("providers", "mine", limits={"gap": "0 s"}), r"limits\.gap: .* greater"),
    "unknown provider": (
        change("models", "m-1.5", provider="other"),
        r"models\.m-1\.5\.provider: found 'other'; allowed: mine",
    ),
    "unknown successor": (
        change("models", "m-1.5", successor="m-2"),
        r"models\.m-1\.5\.successor: found 'm-2'; allowed: m-1\.5",
    ),
    "falls back to itself": (
        change("models", "m-1.5", fallback="m-1.5"),
        r"models\.m-1\.5\.fallback: is the model itself",
    ),
    "negative price": (
        change("models", "m-1.5", price={"input": -1, "output": 1}),
        r"price\.input: .* greater than or equal to 0",
    ),
    "half a price": (change("models", "m-1.5", price={"input": 1}), r"price\.output: Field req"),
    "a date that is none": (change("models", "m-1.5", retires="soon"), r"retires: .* date"),
    "unknown environment": ({"environments": {"test": {}}}, r"environments\.test"),
    "unknown instead": (
        {"environments": {"development": {"instead": {"gpt": "m-9"}}}},
        r"environments\.development\.instead\.gpt: found 'm-9'; allowed: m-1\.5",
    ),
    "unknown refused": (
        {"environments": {"production": {"refused": {"m-9": "old"}}}},
        r"environments\.production\.refused\.m-9: found 'm-9'; allowed: m-1\.5",
    ),
}


@pytest.mark.parametrize(("changes", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_file_line_and_key(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigInvalid, match=words) as found:
        load_providers(write(tmp_path, **changes))
    assert "sk-1" not in str(found.value)
    lines = str(found.value).splitlines()
    assert all(line.startswith(f"{tmp_path}/llm/providers.yaml:") for line in lines)


def test_a_key_with_a_dot_in_its_name_has_the_line_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"providers\.yaml:8: models\.m-1\.5\.provider"):
        load_providers(write(tmp_path, **change("models", "m-1.5", provider="other")))
