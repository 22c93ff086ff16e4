"""API keys: parsed strictly, compared by hash, some for some services only."""

from hashlib import sha256
from pathlib import Path

import pytest

from serving.http.keys import Keyring, load_keys, parse_keys, read_key
from sluice.errors import ConfigInvalid

HASH = sha256(b"word").hexdigest()


def test_a_key_opens_the_services_it_names_and_without_names_all() -> None:
    ring = Keyring(parse_keys([f"{HASH} a b  # two", sha256(b"all").hexdigest(), ""], "x"))
    assert ring.admits(b"word", "a")
    assert not ring.admits(b"word", "c")
    assert ring.admits(b"all", "c")
    assert ring.admits(b"word")
    assert not ring.admits(b"")
    assert not ring.admits(HASH.encode(), "a"), "the hash itself is not a key"


def test_the_services_of_a_key_are_all_only_where_no_entry_names_any() -> None:
    lines = [f"{HASH} a", f"{HASH} b", f"{HASH} +control c", sha256(b"all").hexdigest()]
    ring = Keyring(parse_keys(lines, "x"))
    assert ring.list_services(b"word") == {"a", "b"}
    assert ring.list_services(b"all") is None
    assert ring.list_services(b"") == frozenset()
    assert Keyring().list_services(b"") is None


def test_a_control_key_opens_no_predictions() -> None:
    ring = Keyring(parse_keys([f"{HASH} +control a"], "x"))
    assert ring.has_control
    assert ring.controls(b"word", "a")
    assert not ring.controls(b"word", "b")
    assert not ring.admits(b"word", "a")
    assert ring.knows(b"word")
    assert not ring.knows(b"other")
    assert not ring, "callers need no key where every key is for control"


def test_a_key_for_predictions_controls_nothing() -> None:
    ring = Keyring(parse_keys([HASH], "x"))
    assert not ring.has_control
    assert not ring.controls(b"word", "a")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (b"", "no API key was given; next: send it as `Authorization: Bearer KEY`"),
        (b"typo", "this API key is not known here"),
        (b"word", "this API key does not open b, but other services"),
        (b"steer", "this API key controls rollouts and opens no predictions"),
    ],
)
def test_no_key_an_unknown_one_and_anothers_are_told_apart(key: bytes, said: str) -> None:
    ring = Keyring(parse_keys([f"{HASH} a", f"{sha256(b'steer').hexdigest()} +control b"], "x"))
    assert not ring.admits(key, "b")
    assert ring.explain_refusal(key, "b").startswith(said)


def test_an_unknown_right_is_refused() -> None:
    with pytest.raises(ConfigInvalid, match="x: entry 1: found an unknown right; allowed: "):
        parse_keys([f"{HASH} +everything"], "x")


def test_without_keys_none_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLUICE_GATEWAY_KEYS", raising=False)
    assert not load_keys("")


@pytest.mark.parametrize("content", ["word\n", "", "# nothing\n", f"{HASH[:-1]}\n"])
def test_a_file_without_proper_keys_is_refused_and_never_shown(
    tmp_path: Path, content: str
) -> None:
    file = tmp_path / "keys"
    file.write_text(content)
    with pytest.raises(ConfigInvalid) as found:
        load_keys(str(file))
    assert "word" not in str(found.value)


def test_the_key_is_read_from_either_header() -> None:
    assert read_key([(b"authorization", b"Bearer  abc")]) == b"abc"
    assert read_key([(b"host", b"x"), (b"x-api-key", b"abc")]) == b"abc"
    assert read_key([(b"authorization", b"Basic abc")]) == b""
