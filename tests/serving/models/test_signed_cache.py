"""A cached model is loaded only where a trusted key signed its files and its configuration."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serving.models.cache import FILES, CacheEntry, Manifest, ModelCache
from serving.models.loading import load_cached
from sluice.adapters.security.keys import TRUSTED, KeyRing
from sluice.adapters.security.signatures import SignatureCheck
from sluice.errors import ModelDamaged, SignatureInvalid
from support.gateway.models import describe_model, sign_model
from support.gateway.towns import DATA, Towns


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    return KeyRing(tmp_path / "keys")


@pytest.fixture
def cache(tmp_path: Path, keys: KeyRing) -> ModelCache:
    return ModelCache(tmp_path / "cache", SignatureCheck("require", keys))


@pytest.fixture
def manifest(towns: Towns, keys: KeyRing) -> Manifest:
    return sign_model(describe_model(DATA, "binary"), towns.folder, keys)


def keep(cache: ModelCache, manifest: Manifest, towns: Towns) -> CacheEntry:
    """Keep a model as somebody would who can write to the cache, and makes its hashes fit."""
    return ModelCache(cache.folder, None).keep(manifest, towns.folder)


def test_a_signed_model_is_loaded(cache: ModelCache, manifest: Manifest, towns: Towns) -> None:
    assert load_cached(cache, cache.keep(manifest, towns.folder)).version == 1


def test_a_replica_with_public_keys_alone_loads_it(
    cache: ModelCache, manifest: Manifest, towns: Towns, keys: KeyRing, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "replica" / TRUSTED
    elsewhere.mkdir(parents=True)
    for file in (keys.folder / TRUSTED).glob("*.pem"):
        (elsewhere / file.name).write_bytes(file.read_bytes())
    there = ModelCache(cache.folder, SignatureCheck("require", KeyRing(elsewhere.parent)))
    assert load_cached(there, keep(cache, manifest, towns)).version == 1
    assert not (elsewhere.parent / "signing.pem").exists()


@pytest.mark.parametrize("file", FILES)
def test_a_file_changed_in_the_cache_is_refused_even_if_its_hash_is_made_to_fit(
    cache: ModelCache, manifest: Manifest, towns: Towns, file: str
) -> None:
    entry = cache.keep(manifest, towns.folder)
    folder = cache.folder / entry.digest
    content = bytearray((folder / file).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / file).write_bytes(content)
    with pytest.raises(ModelDamaged, match=f"{file} is cut short or not what was fetched"):
        load_cached(cache, entry)
    forged = ModelCache(cache.folder, None).keep(manifest, folder)
    with pytest.raises(SignatureInvalid, match=f"towns v1: {file} is not the one that was signed"):
        load_cached(cache, forged)


def change_data(manifest: Manifest) -> Manifest:
    data = json.loads(json.dumps(manifest.data))
    data["positive"] = "no"
    return replace(manifest, data=data)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda it: replace(it, signature=""), SignatureInvalid, "`sluice sign towns 1 --by NAME"),
        (lambda it: replace(it, config=it.config + " "), SignatureInvalid, "config.yaml is not"),
        (lambda it: replace(it, run_id="other"), SignatureInvalid, "is of run_id run"),
        (lambda it: replace(it, service="other"), SignatureInvalid, "is of service towns"),
        (lambda it: replace(it, kind="other"), ModelDamaged, "differs from its config.yaml"),
        (change_data, ModelDamaged, "differs from its config.yaml"),
    ],
)
def test_a_manifest_that_was_not_signed_so_is_refused(
    cache: ModelCache,
    manifest: Manifest,
    towns: Towns,
    change: Callable[[Manifest], Manifest],
    error: Any,
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        load_cached(cache, keep(cache, change(manifest), towns))


def test_a_key_that_is_trusted_no_longer_ends_what_it_signed(
    cache: ModelCache, manifest: Manifest, towns: Towns, keys: KeyRing
) -> None:
    entry = cache.keep(manifest, towns.folder)
    before, _ = keys.rotate()
    assert load_cached(cache, entry).version == 1
    keys.remove(before)
    with pytest.raises(SignatureInvalid, match=f"key {before}, which is not trusted here"):
        load_cached(cache, entry)


@pytest.mark.parametrize("rule", ["warn", "off"])
def test_other_rules_load_what_nobody_signed_and_only_one_warns(
    cache: ModelCache, towns: Towns, keys: KeyRing, caplog: pytest.LogCaptureFixture, rule: Any
) -> None:
    entry = keep(cache, describe_model(DATA, "binary"), towns)
    relaxed = ModelCache(cache.folder, SignatureCheck(rule, keys))
    assert load_cached(relaxed, entry).version == 1
    assert ("towns v1 is not signed" in caplog.text) is (rule == "warn")
