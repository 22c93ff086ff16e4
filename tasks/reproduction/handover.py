"""What a reproduction and its process hand each other: files of one folder.

The process runs the code of the version's commit, which may be older or newer than this: `FORMAT`
changes with the meaning of a file.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sluice.documents import parse_json
from sluice.errors import NotReproducible
from sluice.stats.holdout import Predictions

if TYPE_CHECKING:
    pass

FORMAT = 1
JOB, RESULT = "job.json", "result.json"
ROWS, MODEL, SAMPLE = "rows.parquet", "model.skops", "parity_sample.json"
RECORDED, REPRODUCED = "recorded", "reproduced"
"""The registered model, and the one that was trained again."""
HELD_OUT, PARITY = "held_out", "parity"
"""The rows that both predict."""


def write_job(folder: Path, job: dict[str, Any]) -> None:
    """Write what the process is to do."""
    _write(folder / JOB, {"format": FORMAT, **job})


def read_job(folder: Path) -> dict[str, Any]:
    """Read what to do.

    Raises:
        NotReproducible: it is of another format.
    """
    return _read(folder / JOB)


def write_result(folder: Path, result: dict[str, Any]) -> None:
    """Write what the process found."""
    _write(folder / RESULT, {"format": FORMAT, **result})


def read_result(folder: Path) -> dict[str, Any]:
    """Read what the process found.

    Raises:
        NotReproducible: it is of another format.
    """
    return _read(folder / RESULT)


def write_predictions(folder: Path, model: str, rows: str, found: Predictions) -> None:
    """Write predictions, exactly: one file of labels and scores."""
    import pandas as pd

    columns: dict[str, Any] = {"label": found.labels}
    if found.scores is not None:
        scores = found.scores.reshape(len(found.labels), -1)
        columns |= {f"score_{place}": scores[:, place] for place in range(scores.shape[1])}
    pd.DataFrame(columns).to_parquet(_name_predictions(folder, model, rows))


def read_predictions(folder: Path, model: str, rows: str, classes: tuple[Any, ...]) -> Predictions:
    """Read predictions; `classes` are the model's."""
    import pandas as pd

    frame: pd.DataFrame = pd.read_parquet(_name_predictions(folder, model, rows))
    scores = frame.drop(columns="label").to_numpy(np.float64)
    shaped = scores[:, 0] if scores.shape[1] == 1 else scores
    labels = frame["label"].to_numpy()
    return Predictions(labels, shaped if scores.shape[1] else None, classes)


def _name_predictions(folder: Path, model: str, rows: str) -> Path:
    return folder / f"{model}_{rows}.parquet"


def _write(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=1, default=str), encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = parse_json(path.read_bytes())
    if found.get("format") != FORMAT:
        raise NotReproducible(
            f"{path.name}: found format {found.get('format')}; allowed: {FORMAT}: the version's "
            "code is of another Sluice; next: reproduce with the project at its commit"
        )
    return found
