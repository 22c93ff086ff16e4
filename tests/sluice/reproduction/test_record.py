"""A version's tags are read back whole, or it is said what is missing."""

from dataclasses import replace

import pytest

from sluice.data.version import DataVersion
from sluice.errors import NotReproducible, TreeWasDirty
from sluice.identity import UNKNOWN, CodeVersion, Environment, ReleaseIdentity
from sluice.reproduction.record import NEEDED, choose_environment, read_identity

IDENTITY = ReleaseIdentity(
    "churn",
    DataVersion("/data/churn/table", 4, 1_200, "schema", "content"),
    CodeVersion("0123456789abcdef", dirty=False),
    "config",
    Environment("lock", "3.11.9", "linux-x86_64", ""),
)


def test_tags_are_read_back() -> None:
    assert read_identity("churn", 3, IDENTITY.tags()) == IDENTITY


@pytest.mark.parametrize("key", NEEDED)
def test_a_missing_tag_is_named(key: str) -> None:
    tags = {name: value for name, value in IDENTITY.tags().items() if name != key}
    with pytest.raises(NotReproducible, match=f"its record lacks {key}"):
        read_identity("churn", 3, tags)


@pytest.mark.parametrize("key", [key for key in NEEDED if key not in ("sluice.data.uri",)])
def test_a_tag_that_was_changed_is_noticed(key: str) -> None:
    tags = {**IDENTITY.tags(), key: "7"}
    with pytest.raises(NotReproducible, match="tags were changed after the release"):
        read_identity("churn", 3, tags)


def test_a_version_number_that_is_none_is_refused() -> None:
    with pytest.raises(NotReproducible, match=r"sluice.data.version: found 'four'; allowed"):
        read_identity("churn", 3, {**IDENTITY.tags(), "sluice.data.version": "four"})


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (CodeVersion("0123456789abcdef", dirty=True), "uncommitted changes on top of 0123456789ab"),
        (CodeVersion(UNKNOWN, dirty=True), "outside of a git checkout"),
    ],
)
def test_code_that_no_commit_has_is_named(code: CodeVersion, words: str) -> None:
    with pytest.raises(TreeWasDirty, match=words):
        read_identity("churn", 3, replace(IDENTITY, code=code).tags())


def test_this_environment_is_chosen_only_where_lock_and_python_are_the_same() -> None:
    here = IDENTITY.environment
    assert choose_environment(here, here).is_present
    for other in (replace(here, lock_hash="other"), replace(here, python="3.12.1")):
        choice = choose_environment(here, other)
        assert not choice.is_present
        assert "here, it was" in choice.reason
