import pytest

from sluice.doctor import (
    LockedPackage,
    judge_disk,
    judge_git,
    judge_home,
    judge_lock,
    judge_package,
    judge_port,
    judge_python,
    normalise_name,
    read_lock,
)

LOCK = """# made by uv pip compile
--index-strategy first-index
numpy==2.2.0 \\
    --hash=sha256:00aa \\
    --hash=sha256:11bb==
    # via pandas
Typing_Extensions==4.16.0 ; python_version >= '3.11' \\
    --hash=sha256:22cc
uvloop==0.22.1 ; sys_platform == 'plan9' \\
    --hash=sha256:33dd
"""


def test_a_lock_is_read_by_name_version_and_marker() -> None:
    assert read_lock(LOCK) == (
        LockedPackage("numpy", "2.2.0"),
        LockedPackage("typing-extensions", "4.16.0", "python_version >= '3.11'"),
        LockedPackage("uvloop", "0.22.1", "sys_platform == 'plan9'"),
    )


def test_installed_as_locked_is_ok_and_other_platforms_do_not_count() -> None:
    found = judge_lock(read_lock(LOCK), {"numpy": "2.2.0", "typing-extensions": "4.16.0"})
    assert found.ok
    assert found.found == "2 packages as locked"


def test_another_version_than_the_locked_is_named() -> None:
    found = judge_lock(read_lock(LOCK), {"numpy": "2.3.0", "typing-extensions": "4.16.0"})
    assert not found.ok
    assert found.found == "numpy 2.3.0 for 2.2.0"


def test_a_missing_package_is_named() -> None:
    assert "numpy missing for 2.2.0" in judge_lock(read_lock(LOCK), {}).found


def test_only_the_first_three_differences_are_named() -> None:
    locked = tuple(LockedPackage(name, "1") for name in "abcde")
    assert judge_lock(locked, {}).found.endswith("c missing for 1 and 2 more")


def test_without_a_lock_nothing_is_proved() -> None:
    found = judge_lock((), {"numpy": "2.2.0"})
    assert not found.ok
    assert found.found == "no lock was read"


@pytest.mark.parametrize(("version", "ok"), [("3.10.9", False), ("3.11.0", True), ("3.12.4", True)])
def test_python_is_compared_with_its_specifier(version: str, ok: bool) -> None:
    assert judge_python(version, ">=3.11").ok is ok


@pytest.mark.parametrize(
    ("installed", "wanted", "ok"),
    [
        ("0.150.0", ">=0.139,<0.151", True),
        ("0.155.0", ">=0.139,<0.151", False),
        ("2.1.9", "<2.1", False),
        ("", "==3.8.8", False),
        ("1.0", "", True),
    ],
)
def test_a_package_is_compared_with_its_pin(installed: str, wanted: str, ok: bool) -> None:
    assert judge_package("package", installed, wanted).ok is ok


def test_a_full_disk_is_not_ok() -> None:
    assert not judge_disk(100 * 1024**2).ok
    assert judge_disk(10 * 1024**3).ok


def test_a_taken_port_is_ok_and_names_its_user() -> None:
    found = judge_port(4200, "the Prefect server", "python3 (process 12)")
    assert found.ok
    assert found.found == "python3 (process 12)"
    assert judge_port(4200, "the Prefect server", "").found == "free"


def test_a_missing_git_is_not_ok() -> None:
    assert not judge_git("").ok
    assert judge_git("2.39.5").ok


def test_a_folder_that_cannot_be_written_is_not_ok() -> None:
    assert not judge_home("/state", "/state: Permission denied").ok
    assert judge_home("/state", "").found == "/state"


@pytest.mark.parametrize(
    "name",
    ["Great_Expectations", "great.expectations", "great--expectations", "great-expectations[x]"],
)
def test_names_are_compared_as_indexes_do(name: str) -> None:
    assert normalise_name(name) == "great-expectations"
