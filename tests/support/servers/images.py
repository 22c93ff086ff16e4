"""Migrated databases and filled state folders: made once a test session, then copied.

Migrating the databases of a fresh state folder costs more than ten seconds of processor time; a
copy costs nothing. What a test asserts about a first start has a state folder without a copy.
"""

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sluice.adapters.security.keys import KeyRing
from sluice.adapters.server.home_server import server_environment
from sluice.home import Home, environment_name
from sluice.security.signature import FILE as SIGNATURE
from sluice.security.signature import hash_text, read_signature, sign_files
from support.servers.ports import find_free_port

VARIABLE = "SLUICE_TEST_IMAGES"
"""Names the folder that holds the images of this session; tests/conftest.py makes it."""
SECONDS = 240
ORIGIN = "origin.txt"
REGISTRY = """
import sys
from pathlib import Path

import pytest
from sluice.adapters.registry.client import open_registry
from sluice.home import Home
open_registry(Home(Path(sys.argv[1]))).prepare()
"""
SERVER = """
import sys
from pathlib import Path

import pytest
from sluice.adapters.server.home_server import run_server
from sluice.home import Home
with run_server(Home(Path(sys.argv[1])), port=int(sys.argv[2]), report=print):
    pass
"""


def make_once(name: str, make: Callable[[Path], None]) -> Path:
    """Return an image's folder; the first process that asks makes it, the others wait."""
    folder = Path(os.environ[VARIABLE])
    image = folder / name
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not image.exists():
            draft = folder / f"{name}.draft"
            shutil.rmtree(draft, ignore_errors=True)  # of a process that could not finish it
            make(draft)
            draft.rename(image)
    return image


def add_registry_database(home: Home) -> Home:
    """Give a state folder the migrated database of the registry."""
    image = Home(make_once("registry", _make_registry))
    home.mlflow.mkdir(parents=True, exist_ok=True)
    _copy(image.mlflow, home.mlflow, "mlflow.db*")
    return add_search(home)


def add_search(home: Home) -> Home:
    """Give a state folder what the security gate found in this tree; a search costs a second."""
    image = Home(make_once("searched", _search_tree))
    home.security.mkdir(parents=True, exist_ok=True)
    _copy(image.security, home.security, "searched.json")
    return home


def _search_tree(draft: Path) -> None:
    from sluice.adapters.security.tree import search_trees
    from sluice.config.security.gate import load_security
    from sluice.home import CONFIGS, PROJECT, PROMPTS, SUITES

    config = load_security("development").secrets
    search_trees(Home(draft), config, (PROJECT, CONFIGS, SUITES, PROMPTS))


@contextmanager
def use_home(root: Path, **variables: str) -> Iterator[Home]:
    """Make a folder, with a migrated registry, the state folder of the flows in this process."""
    with pytest.MonkeyPatch.context() as patch:
        add_registry_database(Home(root))
        patch.setenv("SLUICE_HOME", str(root))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for name, value in variables.items():
            patch.setenv(name, value)
        yield Home(root)


def add_server_database(home: Home) -> Home:
    """Give a state folder the migrated database of a Prefect server that ran once."""
    image = Home(make_once("server", _make_server))
    home.prefect.mkdir(parents=True, exist_ok=True)
    _copy(image.prefect, home.prefect, "prefect.db*")
    return home


def copy_home(image: Path, root: Path) -> Home:
    """Copy a filled state folder; the absolute paths that it recorded lead to the copy."""
    shutil.copytree(image, root, dirs_exist_ok=True)
    recorded = (root / ORIGIN).read_text(encoding="utf-8")
    for database in (root / "mlflow" / "mlflow.db", root / "control.db"):
        if database.exists():
            _replace_paths(database, recorded, str(root))
    for file in root.glob("mlflow/artifacts/**/*"):
        if file.name == "MLmodel" or file.suffix in {".json", ".yaml"}:
            text = file.read_text(encoding="utf-8")
            if recorded in text:
                file.write_text(text.replace(recorded, str(root)), encoding="utf-8")
                _sign_again(file, Home(root))
    return Home(root)


def _sign_again(config: Path, home: Home) -> None:
    """Sign the configuration of a version again, as its paths were replaced."""
    file = config.with_name(SIGNATURE)
    if config.name != "config.yaml" or not file.exists():
        return
    statement, _ = read_signature(file.read_text(encoding="utf-8"), str(config))
    now = replace(statement, config=hash_text(config.read_text(encoding="utf-8")))
    key = KeyRing(home.keys(environment_name())).open_signing_key()
    file.write_text(sign_files(now, key), encoding="utf-8")


def note_origin(root: Path) -> None:
    """Write down which path a state folder has recorded of itself."""
    (root / ORIGIN).write_text(str(root), encoding="utf-8")


def _replace_paths(database: Path, old: str, new: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            for _, column, kind, *_ in connection.execute(f"PRAGMA table_info({table})").fetchall():
                if kind.upper().startswith(("VARCHAR", "TEXT", "JSON")):
                    words = f'UPDATE {table} SET "{column}" = REPLACE("{column}", ?, ?)'
                    connection.execute(f'{words} WHERE "{column}" LIKE ?', (old, new, f"%{old}%"))


def _copy(source: Path, target: Path, pattern: str) -> None:
    if not list(target.glob(pattern)):  # a database that is in use stays
        for file in source.glob(pattern):
            shutil.copy(file, target)
            (target / file.name).chmod(0o600)  # as Sluice would have made it


def _make_registry(root: Path) -> None:
    _run(REGISTRY, root)


def _make_server(root: Path) -> None:
    _run(SERVER, root, str(find_free_port()))


def _run(code: str, root: Path, *arguments: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PREFECT_API_URL"}
    environment |= {**server_environment(Home(root)), "SLUICE_HOME": str(root)}
    environment.pop("PREFECT_API_URL", None)
    done = subprocess.run(
        [sys.executable, "-c", code, str(root), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
