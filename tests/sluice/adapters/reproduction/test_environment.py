"""A lock is installed in an environment of its own, and a module of a commit runs in it."""

import platform
import sys
from pathlib import Path

import pytest

from sluice.adapters.reproduction.environment import make_environment, run_module
from sluice.errors import LockUninstallable, NotReproducible

PYTHON = platform.python_version()


def write_module(code: Path, text: str) -> Path:
    (code / "work").mkdir(parents=True)
    (code / "work" / "step.py").write_text(text, encoding="utf-8")
    return code


def test_an_empty_lock_gives_a_python_of_its_own(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("# nothing\n", encoding="utf-8")
    interpreter = make_environment(lock, PYTHON, tmp_path)
    code = write_module(
        tmp_path / "code",
        "import sys, pathlib\npathlib.Path(sys.argv[1], 'prefix').write_text(sys.prefix)\n",
    )
    run_module(interpreter, code, "work.step", tmp_path)
    assert (tmp_path / "prefix").read_text() == str(tmp_path / "environment")


def test_a_package_without_a_hash_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("nothing-like-this==1.0\n", encoding="utf-8")
    with pytest.raises(LockUninstallable, match=r"cannot be installed: .*nothing-like-this.*next:"):
        make_environment(lock, PYTHON, tmp_path)


def test_the_code_of_the_checkout_is_imported_and_not_ours(tmp_path: Path) -> None:
    code = write_module(
        tmp_path / "code",
        "import sys, pathlib, sluice\npathlib.Path(sys.argv[1], 'x').write_text(sluice.__file__)\n",
    )
    (code / "sluice").mkdir()
    (code / "sluice" / "__init__.py").touch()
    run_module(Path(sys.executable), code, "work.step", tmp_path)
    assert (tmp_path / "x").read_text() == str(code / "sluice" / "__init__.py")


def test_a_failed_process_is_named_with_its_last_words(tmp_path: Path) -> None:
    code = write_module(tmp_path / "code", "raise ValueError('no memory for it')\n")
    with pytest.raises(NotReproducible, match=r"ended with code 1: .*ValueError: no memory for it"):
        run_module(Path(sys.executable), code, "work.step", tmp_path)


def test_a_commit_from_before_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotReproducible, match="its code is older than `sluice reproduce`"):
        run_module(Path(sys.executable), tmp_path, "work.step", tmp_path)
