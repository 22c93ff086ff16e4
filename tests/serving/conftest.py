"""A small model, a cache that has it, and a gateway that serves it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.models.cache import CacheEntry, ModelCache
from support.gateway.models import describe_model, write_towns
from support.gateway.site import Running, Site, run_gateway
from support.gateway.towns import DATA, Towns


@pytest.fixture(scope="session")
def towns(tmp_path_factory: pytest.TempPathFactory) -> Towns:
    """A small gradient boosting on texts, numbers, booleans and nulls."""
    return write_towns(tmp_path_factory.mktemp("towns"))


@pytest.fixture
def models(tmp_path: Path) -> ModelCache:
    """An empty cache."""
    return ModelCache(tmp_path / "models", None)


@pytest.fixture
def kept(models: ModelCache, towns: Towns) -> CacheEntry:
    """The small model in the cache, published as version 1 of `towns`."""
    entry = models.keep(describe_model(DATA, "binary"), towns.folder)
    models.publish(entry)
    return entry


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, towns: Towns) -> Site:
    """A state folder with the small model as versions 1 and 2 of `towns`, 1 the champion."""
    site = Site(tmp_path_factory.mktemp("site"))
    site.serve("towns", towns.folder)
    return site


@pytest.fixture(scope="session")
def gateway(site: Site) -> Iterator[Running]:
    """A replica of two workers, for tests that leave it as they found it."""
    with run_gateway(site) as running:
        yield running
        assert running.end() == 0
