"""Changed copies of a version's files, each loaded as a worker does: what escapes is reported.

    python -m support.gateway.mutations FOLDER SEED COUNT

FOLDER has a model's files. Memory is limited, since a file may ask for any amount of it.
"""

import json
import random
import resource
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from serving.models.cache import MANIFEST_FILE, CacheEntry, ModelCache
from serving.models.loading import load_cached
from sluice.errors import AnswerInvalid, SluiceError
from support.gateway.models import describe_model
from support.gateway.towns import DATA

SIDECARS = (
    "serving/preprocessing.json",
    "serving/answering.json",
    "parity_sample.json",
    MANIFEST_FILE,
    "serving/serving.onnx",
)
ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 10**30, 10**9, 1e308, -0.5, "", "x", "\x00", "\ud800"),
    *([], {}, [[]], [None], {"a": []}, float("nan"), float("inf")),
)
DEEP = "[" * 100_000 + "]" * 100_000
MEMORY = 2 << 30
RECORDS = b'[{"size": 1, "town": null, "here": true}, {"size": null, "town": "ayr", "here": null}]'


def mutate(content: bytes, draw: random.Random) -> bytes:
    """Return a content with one change of its JSON, or of its bytes."""
    try:
        values = json.loads(content)
    except ValueError:
        return _mutate_bytes(content, draw)
    if draw.random() < 0.25:
        return _mutate_bytes(content, draw)
    holder, key = draw.choice(list(_list_places(values)))
    kind = draw.randrange(5)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, list):
        holder.append(holder[key])
    elif kind == 2:
        holder[key] = [holder[key]]
    elif kind == 3 and draw.random() < 0.5:
        holder[key] = "DEEP"
        return json.dumps(values).replace('"DEEP"', DEEP).encode()
    else:
        holder[key] = draw.choice(ODD)
    return json.dumps(values).encode()


def _list_places(values: Any) -> Iterator[tuple[Any, Any]]:
    items = values.items() if isinstance(values, dict) else enumerate(values)
    for key, value in items:
        yield values, key
        if isinstance(value, dict | list):
            yield from _list_places(value)


def _mutate_bytes(content: bytes, draw: random.Random) -> bytes:
    changed, place = bytearray(content), draw.randrange(len(content))
    kind = draw.randrange(3)
    if kind == 0:
        return content[:place]
    if kind == 1:
        changed[place : place + draw.randrange(1, 9)] = draw.randbytes(draw.randrange(9))
    else:
        changed[place] ^= 1 << draw.randrange(8)
    return bytes(changed)


def load_mutated(source: Path, file: str, draw: random.Random, folder: Path) -> str:
    """Load a version with one changed file; return what came of it."""
    cache = ModelCache(folder / "models", None)
    files = shutil.copytree(source, folder / "files")
    if file != MANIFEST_FILE:
        (files / file).write_bytes(mutate((files / file).read_bytes(), draw))
    entry = cache.keep(describe_model(DATA, "binary"), files)
    if file == MANIFEST_FILE:  # whoever writes it can name its folder as well
        content = mutate((cache.folder / entry.digest / file).read_bytes(), draw)
        changed = CacheEntry("towns", 1, sha256(content).hexdigest())
        (cache.folder / entry.digest).rename(cache.folder / changed.digest)
        (cache.folder / changed.digest / file).write_bytes(content)
        entry = changed
    try:
        model = load_cached(cache, entry)
        model.answer(model.signature.decode(RECORDS))
    except AnswerInvalid:
        return "loads, and its answers are refused"
    except SluiceError as error:
        return f"refused: {type(error).__name__}"
    except Exception as error:  # what must not happen
        return f"ESCAPED: {type(error).__name__}: {str(error)[:100]}"
    return "serves"


def main() -> None:
    source, seed, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, resource.RLIM_INFINITY))
    found: Counter[tuple[str, str]] = Counter()
    for number in range(count):
        file = SIDECARS[number % len(SIDECARS)]
        with tempfile.TemporaryDirectory() as folder:
            draw = random.Random(seed + number)  # noqa: S311 - no secret hangs on it
            result = load_mutated(source, file, draw, Path(folder))
        found[file, result] += 1
    for (file, result), times in sorted(found.items()):
        sys.stdout.write(f"{times} {file} {result}\n")


if __name__ == "__main__":
    main()
