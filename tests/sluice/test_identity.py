import hashlib
import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.data.version import DataVersion
from sluice.identity import CodeVersion, Environment, ReleaseIdentity

DATA = DataVersion("file:///data/employment/table", 2, 24_000, "a" * 64, "b" * 64)
IDENTITY = ReleaseIdentity(
    service="employment",
    data=DATA,
    code=CodeVersion("c" * 40, dirty=False),
    config_hash="d" * 64,
    environment=Environment("e" * 64, "3.11.7", "linux-x86_64", ""),
)
OTHERS = {
    "service": replace(IDENTITY, service="income"),
    "data version": replace(IDENTITY, data=replace(DATA, version=3)),
    "rows": replace(IDENTITY, data=replace(DATA, rows=1)),
    "schema": replace(IDENTITY, data=replace(DATA, schema_hash="f" * 64)),
    "content": replace(IDENTITY, data=replace(DATA, content_hash="f" * 64)),
    "commit": replace(IDENTITY, code=CodeVersion("f" * 40, dirty=False)),
    "dirty": replace(IDENTITY, code=CodeVersion("c" * 40, dirty=True)),
    "config": replace(IDENTITY, config_hash="f" * 64),
    "lock": replace(IDENTITY, environment=replace(IDENTITY.environment, lock_hash="f" * 64)),
    "python": replace(IDENTITY, environment=replace(IDENTITY.environment, python="3.12.1")),
    "platform": replace(IDENTITY, environment=replace(IDENTITY.environment, platform="macos")),
    "image": replace(IDENTITY, environment=replace(IDENTITY.environment, image="sluice:1")),
}


def test_the_id_is_the_start_of_the_sha256_of_canonical_json() -> None:
    facts = asdict(IDENTITY)
    del facts["data"]["uri"]
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    assert IDENTITY.id == hashlib.sha256(canonical.encode()).hexdigest()[:12]


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
def test_the_id_changes_with_everything_that_decides_the_result(other: ReleaseIdentity) -> None:
    assert other.id != IDENTITY.id


def test_every_change_has_its_own_id() -> None:
    assert len({other.id for other in OTHERS.values()}) == len(OTHERS)


def test_the_id_does_not_depend_on_the_location_of_the_data() -> None:
    assert replace(IDENTITY, data=replace(DATA, uri="s3://bucket/table")).id == IDENTITY.id


@given(service=st.text(max_size=20), commit=st.text(max_size=20), rows=st.integers(0, 10**12))
def test_equal_identities_have_equal_ids(service: str, commit: str, rows: int) -> None:
    code, data = CodeVersion(commit, dirty=True), replace(DATA, rows=rows)
    one, two = (replace(IDENTITY, service=service, code=code, data=data) for _ in range(2))
    assert one.id == two.id
    assert len(one.id) == 12
    assert int(one.id, 16) >= 0


def test_tags_carry_every_field_as_text() -> None:
    assert IDENTITY.tags() == {
        "sluice.release": IDENTITY.id,
        "sluice.service": "employment",
        "sluice.data.uri": "file:///data/employment/table",
        "sluice.data.version": "2",
        "sluice.data.rows": "24000",
        "sluice.data.schema_hash": "a" * 64,
        "sluice.data.content_hash": "b" * 64,
        "sluice.code.commit": "c" * 40,
        "sluice.code.dirty": "false",
        "sluice.config.hash": "d" * 64,
        "sluice.environment.lock_hash": "e" * 64,
        "sluice.environment.python": "3.11.7",
        "sluice.environment.platform": "linux-x86_64",
        "sluice.environment.image": "",
    }
