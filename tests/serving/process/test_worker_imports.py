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


def test_a_worker_of_models_imports_nothing_of_prompts_and_language_models() -> None:
    late = {
        "aiohttp",
        "genai_prices",
        "serving.http.llm.endpoints",
        "sluice.adapters.llm.client",
        "sluice.config.llm.serving",
        "sluice.guardrails.inspection",
        "sluice.prompts.version",
    }
    code = (
        f"import sys, serving.process.worker\nsys.exit(' '.join({late!r} & set(sys.modules)) or 0)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
