"""The login of a state folder's server: made once, read by its owner only."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sluice.adapters.server.login import make_login, read_login
from sluice.home import Home


def test_none_is_read_and_nothing_is_written_before_the_first_server(tmp_path: Path) -> None:
    assert read_login(Home(tmp_path / "home")) == ""
    assert list(tmp_path.iterdir()) == []


def test_it_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with ThreadPoolExecutor(8) as threads:
        logins = set(threads.map(lambda _: make_login(home), range(32)))
    assert logins == {read_login(home)}
    user, _, word = logins.pop().partition(":")
    assert (user, len(word)) == ("sluice", 32)
    assert stat.S_IMODE(home.login_file.stat().st_mode) == 0o600
    assert [item.name for item in home.root.iterdir()] == ["prefect-login"]


def test_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    home = Home(tmp_path)
    login = make_login(home)
    home.login_file.chmod(0o644)
    assert read_login(home) == login
    assert stat.S_IMODE(home.login_file.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "\n", "no-password"])
def test_damaged_file_is_replaced(tmp_path: Path, text: str) -> None:
    home = Home(tmp_path)
    home.login_file.write_text(text, encoding="utf-8")
    assert read_login(home) == ""
    assert make_login(home) == read_login(home) != ""
