"""A person signs a version from before: examined, recorded, and never what was changed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.adapters.control.store import open_control
from sluice.adapters.registry.client import ModelVersionRef, Registry, open_registry
from sluice.adapters.registry.served import load_served
from sluice.control.timeline import SIGN
from sluice.errors import CommandRefused, DataMissing, SignatureInvalid
from sluice.home import Home
from support.gateway.models import register_towns, write_towns
from support.gateway.towns import Towns
from support.servers.images import use_home
from tasks.security.signing import sign_version

pytestmark = pytest.mark.slow
WHO = ("Ada", "released in June, examined by hand")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with use_home(tmp_path_factory.mktemp("state")) as home:
        yield home


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> Towns:
    return write_towns(tmp_path_factory.mktemp("towns"))


@pytest.fixture
def version(state: Home, towns: Towns, request: pytest.FixtureRequest) -> ModelVersionRef:
    """A version whose release made no signature, as one from before."""
    registry, name = open_registry(state), request.node.name.replace("_", "-")[-30:].strip("-")
    found = register_towns(registry, towns, name)
    find_file(registry, found, "signature.json").unlink()
    return found


def find_file(registry: Registry, version: ModelVersionRef, name: str) -> Path:
    (file,) = registry.artifact_root.glob(f"**/{version.run_id}/artifacts/{name}")
    return file


def test_a_version_from_before_is_scored_with_once_a_person_signed_it(
    state: Home, version: ModelVersionRef
) -> None:
    registry, service = open_registry(state), version.service
    with pytest.raises(SignatureInvalid, match=f"is not signed; next:.*`sluice sign {service} 1 "):
        load_served(registry, version)
    signed = sign_version(service, 1, *WHO)
    assert {"model.skops", "serving/serving.onnx"} <= set(signed.files)
    assert load_served(registry, version).form == "onnx"
    entry = open_control(state).timeline.list_entries(service)[0]
    assert (entry.action, entry.version, entry.by, entry.reason) == (SIGN, 1, *WHO)
    assert signed.key in entry.message
    assert entry.origin


@pytest.mark.parametrize("name", ["config.yaml", "model.skops"])
def test_what_was_changed_since_it_was_signed_is_not_signed_again(
    state: Home, version: ModelVersionRef, name: str
) -> None:
    registry, service = open_registry(state), version.service
    sign_version(service, 1, *WHO)
    if name == "config.yaml":
        file = find_file(registry, version, name)
    else:
        (file,) = (registry.artifact_root / service).glob(f"models/*/artifacts/{name}")
    file.write_bytes(file.read_bytes() + b"\n")
    with pytest.raises(SignatureInvalid, match=f"{name} is not the one that was signed"):
        load_served(registry, version)
    with pytest.raises(CommandRefused, match=f"is not signed again: {name} is not the one"):
        sign_version(service, 1, *WHO)


def test_after_a_key_was_removed_a_version_can_be_signed_with_the_new_one(
    state: Home, version: ModelVersionRef
) -> None:
    registry, service = open_registry(state), version.service
    sign_version(service, 1, *WHO)
    before, now = registry.keys.rotate()
    registry.keys.remove(before)
    with pytest.raises(SignatureInvalid, match=f"key {before}, which is not trusted"):
        load_served(registry, version)
    assert sign_version(service, 1, *WHO).key == now
    assert load_served(registry, version).version == version


@pytest.mark.parametrize(
    ("number", "who", "error", "words"),
    [
        (9, WHO, DataMissing, "has no v9; next: `sluice show"),
        (1, (" ", "why"), CommandRefused, "found no name"),
        (1, ("Ada", ""), CommandRefused, "found no reason"),
    ],
    ids=["version", "name", "reason"],
)
def test_an_incomplete_order_signs_nothing(
    state: Home,
    version: ModelVersionRef,
    number: int,
    who: tuple[str, str],
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        sign_version(version.service, number, *who)
    assert open_registry(state).find_text(version.run_id, "signature.json") is None
