"""A worker of the gateway starts light: nothing heavy is imported for the log."""

import subprocess
import sys


def test_log_and_breaker_import_nothing_heavy() -> None:
    heavy = {"prefect", "mlflow", "pandas", "pyarrow", "deltalake", "scipy", "sklearn", "numpy"}
    code = (
        "import sys, serving.log.ledger, serving.routing.breaker\n"
        "import serving.http.pages, serving.log.worker_runs\n"
        f"sys.exit(' '.join({heavy!r} & set(sys.modules)) or 0)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
