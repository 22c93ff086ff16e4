"""Print NannyML's estimates of whole chunks as JSON; runs in the environment of the peer.

`python nannyml_estimates.py ROWS.csv HELD_OUT CHUNK`: the first rows are its reference.
"""

import json
import sys
import warnings

warnings.filterwarnings("ignore")

import nannyml  # noqa: E402
import pandas as pd  # noqa: E402

file, held, chunk = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rows = pd.read_csv(file)
live = rows.iloc[held:]
live = live.iloc[: len(live) // chunk * chunk]
metrics = ["accuracy", "f1", "roc_auc"]
estimator = nannyml.CBPE(
    y_pred_proba="score",
    y_pred="predicted",
    y_true="actual",
    problem_type="classification_binary",
    metrics=metrics,
    chunk_size=chunk,
)
estimator.fit(rows.iloc[:held])
found = estimator.estimate(live.drop(columns="actual")).filter(period="analysis").to_df()
print(
    json.dumps(
        {
            "calibrates": bool(estimator.needs_calibration),
            **{name: found[(name, "value")].tolist() for name in metrics},
        }
    )
)
