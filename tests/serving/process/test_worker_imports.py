"""The log, the breakers and the metrics of a worker import no heavy library."""

import subprocess
import sys


def test_log_breakers_and_metrics_import_nothing_heavy() -> None:
    heavy = {"prefect", "mlflow", "pandas", "pyarrow", "deltalake", "scipy", "sklearn", "numpy"}
    code = (
        "import sys, serving.log.request_log, serving.routing.breaker\n"
        "import serving.http.metrics, serving.log.worker_runs\n"
        f"sys.exit(' '.join({heavy!r} & set(sys.modules)) or 0)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
