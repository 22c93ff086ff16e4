"""Keys: made on first use, closed to others, rotated; and what a signature covers."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.security.keys import KeyRing, hash_served, sign_folder
from sluice.errors import CommandRefused, DataInvalid, DataMissing, SignatureInvalid
from sluice.security.signature import SignedFiles, describe_files, verify_files


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing(tmp_path / "keys" / "development")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "serving").mkdir(parents=True)
    for name in ("model.skops", "serving/serving.onnx", "serving/answering.json"):
        (folder / name).write_bytes(name.encode())
    return folder


def sign(ring: KeyRing, model: Path) -> str:
    return sign_folder(ring, "shop", "run1", model, "problem: binary\n", "Ada", "a test")


def verify(ring: KeyRing, model: Path, text: str | None, **facts: str) -> SignedFiles:
    known = {"service": "shop", "run_id": "run1", "config": "problem: binary\n", **facts}
    there = describe_files(known["service"], known["run_id"], hash_served(model), known["config"])
    return verify_files(text, ring.list_trusted(), there, "shop v1")


def test_what_was_signed_is_verified_and_says_who_and_why(ring: KeyRing, model: Path) -> None:
    found = verify(ring, model, sign(ring, model))
    assert (found.by, found.reason) == ("Ada", "a test")
    assert set(found.files) == {"model.skops", "serving/serving.onnx", "serving/answering.json"}
    assert found.key == ring.find_signing()


@pytest.mark.parametrize("file", ["model.skops", "serving/serving.onnx", "serving/answering.json"])
def test_one_changed_byte_is_refused_and_named(ring: KeyRing, model: Path, file: str) -> None:
    text = sign(ring, model)
    content = bytearray((model / file).read_bytes())
    content[len(content) // 2] ^= 1
    (model / file).write_bytes(content)
    with pytest.raises(SignatureInvalid, match=f"shop v1: {file} is not the one that was signed"):
        verify(ring, model, text)


def change(text: str, **facts: Any) -> str:
    values = json.loads(text)
    return json.dumps({**values, "statement": {**values["statement"], **facts}})


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (lambda text: None, "is not signed; next: release it again, or `sluice sign shop 1"),
        (lambda text: "{", "signature.json is no signature"),
        (lambda text: "[]", "signature.json is no signature"),
        (lambda text: change(text, format=2), "signature.json is no signature"),
        (lambda text: change(text, files=["a"]), "signature.json is no signature"),
        (lambda text: change(text, key=["a"]), "signature.json is no signature"),
        (lambda text: change(text, files={"model.skops": 7}), "signature.json is no signature"),
        (lambda text: change(text, by="Eve"), "was changed after it was signed"),
        (lambda text: change(text, files={}), "was changed after it was signed"),
        (lambda text: change(text, key="0" * 16), "key 0000000000000000, which is not trusted"),
        (lambda text: text.replace('"signature": "', '"signature": "AAAA'), "was changed after"),
    ],
)
def test_a_signature_that_was_tampered_with_is_refused(
    ring: KeyRing, model: Path, tamper: Any, words: str
) -> None:
    with pytest.raises(SignatureInvalid, match=words):
        verify(ring, model, tamper(sign(ring, model)))


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"service": "other"}, "its signature is of service shop"),
        ({"run_id": "run2"}, "its signature is of run_id run1"),
        ({"config": "problem: regression\n"}, "config.yaml is not the one that was signed"),
    ],
)
def test_a_signature_of_another_version_is_refused(
    ring: KeyRing, model: Path, facts: dict[str, str], words: str
) -> None:
    with pytest.raises(SignatureInvalid, match=words):
        verify(ring, model, sign(ring, model), **facts)


def test_files_that_came_or_went_are_named(ring: KeyRing, model: Path) -> None:
    text = sign(ring, model)
    (model / "serving" / "more.onnx").write_text("x")
    with pytest.raises(SignatureInvalid, match=r"serving/more\.onnx was not signed"):
        verify(ring, model, text)
    (model / "serving" / "more.onnx").unlink()
    (model / "model.skops").unlink()
    with pytest.raises(SignatureInvalid, match=r"model\.skops was signed, and is gone"):
        verify(ring, model, text)


def test_the_signing_key_is_its_owners_alone(ring: KeyRing) -> None:
    first = ring.open_signing_key().private_bytes_raw()
    assert ring.open_signing_key().private_bytes_raw() == first
    assert stat.S_IMODE((ring.folder / "signing.pem").stat().st_mode) == 0o600


def test_after_a_rotation_the_older_key_is_trusted_until_it_is_removed(
    ring: KeyRing, model: Path
) -> None:
    text = sign(ring, model)
    before, now = ring.rotate()
    assert verify(ring, model, text).key == before
    assert verify(ring, model, sign(ring, model)).key == now
    ring.remove(before)
    with pytest.raises(SignatureInvalid, match=f"key {before}, which is not trusted.*{now}"):
        verify(ring, model, text)


def test_the_key_that_signs_cannot_be_removed(ring: KeyRing) -> None:
    ring.open_signing_key()
    with pytest.raises(CommandRefused, match="signs; next: `sluice keys rotate`"):
        ring.remove(ring.find_signing())


def test_another_environment_trusts_by_choice(ring: KeyRing, model: Path, tmp_path: Path) -> None:
    other, text = KeyRing(tmp_path / "keys" / "production"), sign(ring, model)
    with pytest.raises(SignatureInvalid, match="trusted: none"):
        verify(other, model, text)
    (file,) = (ring.folder / "trusted").glob("*.pem")
    assert other.trust(file) == ring.find_signing()
    assert verify(other, model, text).by == "Ada"


def test_what_is_no_key_is_refused(ring: KeyRing, tmp_path: Path) -> None:
    with pytest.raises(DataMissing):
        ring.trust(tmp_path / "none.pem")
    (tmp_path / "bad.pem").write_text("no key")
    with pytest.raises(DataInvalid, match="no Ed25519 public key"):
        ring.trust(tmp_path / "bad.pem")
    ring.open_signing_key()
    with pytest.raises(DataInvalid, match="no Ed25519 public key"):
        ring.trust(ring.folder / "signing.pem")
    (ring.folder / "signing.pem").write_text("no key")
    with pytest.raises(DataInvalid, match="is no key; next: `sluice keys rotate`"):
        ring.open_signing_key()
