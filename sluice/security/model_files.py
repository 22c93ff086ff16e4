"""Whether a model's files are of the kinds that run no code when they are loaded.

Allowed are a skops file with reviewed types, an ONNX graph that is whole in itself, and JSON.
Nothing is built from a file here, and none is unpacked beyond its limit.
"""

import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sluice.documents import DocumentInvalid, parse_json
from sluice.security.evidence import FileProblem, ModelScan

SKOPS, ONNX, JSON = ".skops", ".onnx", ".json"
ARRAY = ".npy"
SPARSE = ".npz"
SCHEMA = "schema.json"
ARRAY_START = b"\x93NUMPY"
PICKLES = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
"""How a pickle of protocol 2 to 5 begins; joblib and cloudpickle write the same."""
ZIP_START = b"PK\x03\x04"
UNPACKED = 4 * 1024**3
"""Bytes of a skops file's members once they are unpacked."""
HEADER = 4096
"""Bytes of an array's file that hold its header."""
DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, ValueError, LookupError, EOFError)


def scan_model(
    folder: Path,
    names: Iterable[str],
    trusted: Iterable[str],
    domains: Iterable[str],
    largest: int,
) -> ModelScan:
    """Examine files of a folder, by their paths within it.

    `trusted` are the reviewed types of skops, `domains` the allowed domains of ONNX operators,
    `largest` the bytes of the largest file.
    """
    files, problems, size = sorted(names), list[FileProblem](), 0
    for name in files:
        path = folder / name
        try:
            size += path.stat().st_size
            found = list(_examine(path, set(trusted), set(domains), largest))
        except DAMAGE as error:
            found = [f"it cannot be read: {str(error).splitlines()[0][:200] or 'damaged'}"]
        problems += [FileProblem(name, words) for words in found]
    return ModelScan(tuple(files), size, tuple(problems))


def _examine(path: Path, trusted: set[str], domains: set[str], largest: int) -> Iterator[str]:
    if path.is_symlink():
        yield "it is a link to another file"
        return
    if (size := path.stat().st_size) > largest:
        yield f"it has {size:,} bytes; allowed: {largest:,} (model.largest_bytes)"
        return
    content = path.read_bytes()
    if is_pickle(content):
        yield "it is a pickle, which runs any code when it is loaded; allowed: skops, ONNX, JSON"
    elif path.suffix == SKOPS:
        yield from _examine_skops(content, trusted)
    elif path.suffix == ONNX:
        yield from examine_graph(content, domains)
    elif path.suffix == JSON:
        try:
            parse_json(content)
        except DocumentInvalid as error:
            yield str(error)
    else:
        kind = path.suffix or "without a suffix"
        yield f"a file of kind {kind} is not allowed; allowed: {SKOPS}, {ONNX}, {JSON}"


def is_pickle(content: bytes) -> bool:
    """Return whether bytes are a pickle, by their opcodes: of any protocol, whatever the name."""
    import pickletools

    if content.startswith(PICKLES):
        return True
    if not content.rstrip().endswith(b".") or content.startswith((ZIP_START, b"{", b"[")):
        return False
    try:  # protocols 0 and 1 have no mark at their beginning
        opcodes = [opcode.name for opcode, _, _ in pickletools.genops(content)]
    except (ValueError, IndexError, UnicodeDecodeError, OverflowError):
        return False
    return opcodes[-1:] == ["STOP"] and len(opcodes) > 1


def _examine_skops(content: bytes, trusted: set[str]) -> Iterator[str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        unpacked = sum(item.file_size for item in members)
        if unpacked > UNPACKED:
            yield f"it unpacks to {unpacked:,} bytes; allowed: {UNPACKED:,}"
            return
        for item in members:
            yield from _examine_member(archive, item)
    import skops.io

    found = skops.io.get_untrusted_types(data=content)
    if unknown := sorted(set(found) - trusted):
        yield f"it has types that were not reviewed: {', '.join(unknown)}"


def _examine_member(archive: zipfile.ZipFile, item: zipfile.ZipInfo) -> Iterator[str]:
    if item.filename == SCHEMA:
        return
    with archive.open(item) as file:
        start = file.read(HEADER)
    suffix = Path(item.filename).suffix
    if start.startswith(PICKLES):
        yield f"its member {item.filename} is a pickle"
    elif suffix == ARRAY and start.startswith(ARRAY_START):
        if b"'descr': '|O'" in start:
            yield f"its member {item.filename} is an array of objects, kept as a pickle"
    elif suffix != SPARSE or not start.startswith(ZIP_START):
        yield f"its member {item.filename} is no array; allowed: {SCHEMA}, {ARRAY}, {SPARSE}"


def examine_graph(content: bytes, domains: Iterable[str]) -> Iterator[str]:
    """Yield what makes an ONNX graph unsafe: external data, operators that are not ONNX's own."""
    import onnx

    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's own classes differ by its implementation
        yield f"it is no ONNX graph: {type(error).__name__}"
        return
    if not model.HasField("graph"):
        yield "it is no ONNX graph: it has no graph"
        return
    own = {(item.domain, item.name) for item in model.functions}
    graphs = [model.graph, *model.functions]
    external, foreign = set[str](), set[str]()
    while graphs:
        graph = graphs.pop()
        external |= {item.name for item in _list_tensors(graph) if _is_external(item)}
        for node in graph.node:
            if node.domain not in set(domains) and (node.domain, node.op_type) not in own:
                foreign.add(f"{node.domain}.{node.op_type}")
            for attribute in node.attribute:
                graphs += [attribute.g] if attribute.HasField("g") else []
                graphs += list(attribute.graphs)
                tensors = [attribute.t] if attribute.HasField("t") else []
                external |= {
                    item.name or node.name
                    for item in (*tensors, *attribute.tensors)
                    if _is_external(item)
                }
    if external:
        names = ", ".join(sorted(external)[:3])
        yield f"tensors lie in other files ({names}): external data can be any file"
    if foreign:
        names = ", ".join(sorted(foreign)[:3])
        yield f"custom operators ({names}) run code that is not onnxruntime's own"


def _list_tensors(graph: Any) -> Iterator[Any]:
    """Yield a graph's constant tensors; a function has none of its own."""
    yield from getattr(graph, "initializer", ())
    for item in getattr(graph, "sparse_initializer", ()):
        yield item.values
        yield item.indices


def _is_external(tensor: Any) -> bool:
    return bool(tensor.data_location == 1 or len(tensor.external_data))
