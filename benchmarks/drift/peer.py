"""Evidently's drift of all columns, in its own environment: CPU seconds and memory.

`.venv-drift/bin/python benchmarks/drift/peer.py REFERENCE CURRENT ROWS` prints JSON.
"""

import json
import resource
import sys
import time

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset


def main() -> None:
    rows = int(sys.argv[3])
    frames = [pd.read_parquet(path).head(rows) for path in sys.argv[1:3]]
    texts = [name for name in frames[0].columns if name.startswith("text")]
    numbers = [name for name in frames[0].columns if name not in texts]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=texts)
    began = time.process_time()
    reference, current = (Dataset.from_pandas(one, data_definition=definition) for one in frames)
    Report([DataDriftPreset()]).run(current, reference).dict()
    cpu = time.process_time() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu": cpu, "memory": memory}))


if __name__ == "__main__":
    main()
