"""The login of a state folder's Prefect server: one user and password, for its owner only."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from sluice.home import Home

USER = "sluice"
OWNER_ONLY = 0o600


def read_login(home: Home) -> str:
    """Return the login as `user:password`; empty if there is none yet.

    A file that others could read is closed to them first.
    """
    file = home.login_file
    try:
        if file.stat().st_mode & 0o077:
            file.chmod(OWNER_ONLY)
        login = file.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
    return login if ":" in login else ""


def make_login(home: Home) -> str:
    """Return the login, made at the first call; of several callers at once, all get the same.

    Raises:
        OSError: the file cannot be written.
    """
    if login := read_login(home):
        return login
    home.root.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".login-", dir=home.root)  # only its owner can read it
    draft = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{USER}:{secrets.token_urlsafe(24)}\n")
        with suppress(FileExistsError):
            home.login_file.hardlink_to(draft)
        if not read_login(home):  # what is there is damaged
            draft.replace(home.login_file)
    finally:
        draft.unlink(missing_ok=True)
    return read_login(home)
