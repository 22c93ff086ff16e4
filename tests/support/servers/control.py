"""Control stores for tests: processes that race for a store, and a Postgres server."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from support.servers.ports import find_free_port

CLAIMANT = """
import sys
from pathlib import Path
from sluice.adapters.control.store import open_control
from sluice.errors import SluiceError
from sluice.home import Home
root, action, name = sys.argv[1:]
control = open_control(Home(Path(root)))
print("ready", flush=True)
sys.stdin.readline()
control.prepare()
if action == "lease":
    lease = control.leases.acquire("employment", "release", name, 15)
    print(lease.holder == name)
elif action == "take":
    seen = control.leases.find("employment", "release")
    print(control.leases.take(seen, name, 15) is not None)
else:
    lease = control.leases.acquire("employment", "release", "shared", 15)
    print(control.causes.claim(lease, "data.changed", "v2", name).belongs_to(name))
"""


def race(root: Path, action: str, count: int, **variables: str) -> list[str]:
    """Start so many processes, release them at once, and return what each printed."""
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMANT, str(root), action, f"run {number}"],
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    return [racer.communicate(timeout=60)[0].strip() for racer in racers]


def find_postgres() -> Path | None:
    """Return the folder of a Postgres server's programs; None if there is none."""
    on_path = shutil.which("initdb")
    places = [Path(on_path).resolve().parent] if on_path else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "pg_ctl").exists()), None)


def why_no_postgres() -> str:
    """Return what is missing for the tests on Postgres; empty if nothing is."""
    if find_postgres() is None:
        return "no Postgres server is installed (Debian: postgresql)"
    if find_spec("psycopg") is None:
        return "psycopg is not installed (the extra `postgres`)"
    if os.geteuid() == 0 and "postgres" not in {entry.pw_name for entry in pwd.getpwall()}:
        return "Postgres refuses to run as root and there is no user `postgres`"
    return ""


@contextmanager
def run_postgres() -> Iterator[str]:
    """Run a Postgres server on a free loopback port; yield its address."""
    programs = find_postgres()
    assert programs is not None
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="sluice-postgres-"))
    if user:
        shutil.chown(folder, user)
    port = find_free_port()

    def run(*command: str) -> None:
        with (folder.parent / f"{folder.name}.log").open("a") as log:
            subprocess.run(command, user=user, cwd="/", stdout=log, stderr=log, check=True)

    data = str(folder / "data")
    settings = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    try:
        run(str(programs / "initdb"), "-D", data, "-U", "sluice", "-A", "trust", "-E", "UTF8")
        run(str(programs / "pg_ctl"), "-D", data, "-w", "-o", settings, "start")
        yield f"postgresql://sluice@127.0.0.1:{port}"
    finally:
        subprocess.run(
            [str(programs / "pg_ctl"), "-D", data, "-m", "immediate", "stop"],
            user=user,
            cwd="/",
            capture_output=True,
            check=False,
        )
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_name(f"{folder.name}.log").unlink(missing_ok=True)


def add_schema(address: str) -> str:
    """Make an empty schema on a server; return the address at which it is all that one sees.

    A database for each test would be 300 files: they take longer to remove than the tests do.
    """
    import psycopg

    name = f"test_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")  # type: ignore[arg-type]
    return f"{address}/postgres?options=-csearch_path%3D{name}"
