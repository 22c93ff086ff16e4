"""nginx and Redis for the tests: processes on loopback, in a folder of the test's own."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from support.servers.control import why_no_postgres

NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr warn;
{user}
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {site};
}}
"""
START_SECONDS = 30.0


def why_no_proxy() -> str:
    """Say what is missing for the tests behind a proxy; empty where nothing is."""
    missing = [name for name in ("nginx", "openssl") if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)} (Debian packages)" if missing else ""


def why_no_scale() -> str:
    """Say what is missing for the tests on many workers; empty where nothing is."""
    if shutil.which("redis-server") is None:
        return "no Redis server is installed (Debian: redis-server)"
    if find_spec("prefect_redis") is None:
        return "prefect-redis is not installed (the extra `scale`)"
    return why_no_proxy() or why_no_postgres()


def make_certificate(folder: Path) -> None:
    """Write a certificate for loopback, its key, and the same as its authority."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt")]
    subprocess.run(command, capture_output=True, check=True)
    shutil.copy(folder / "tls.crt", folder / "ca.pem")


@contextmanager
def run_nginx(folder: Path, site: Path) -> Iterator[None]:
    """Run nginx with one site's file, as Debian's own configuration would include it."""
    folder.mkdir()
    user = "user root;" if os.geteuid() == 0 else ""
    settings = folder / "nginx.conf"
    settings.write_text(NGINX.format(folder=folder, user=user, site=site), encoding="utf-8")
    with run_process(["nginx", "-p", str(folder), "-c", str(settings)], folder / "nginx.log"):
        yield


@contextmanager
def run_redis(folder: Path, port: int, password: str) -> Iterator[None]:
    """Run a Redis server that writes its log; wait until it answers."""
    folder.mkdir()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    command += ["--appendonly", "yes", "--requirepass", password]
    with run_process(command, folder / "redis.log") as process:
        await_redis(process, port, password)
        yield


def await_redis(process: "subprocess.Popen[bytes]", port: int, password: str) -> None:
    import redis

    deadline = time.monotonic() + START_SECONDS
    with redis.Redis(port=port, password=password) as client:
        while True:
            try:
                client.ping()
                return
            except redis.RedisError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)


@contextmanager
def run_process(command: list[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a process for as long as the block runs."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
