"""Model files: what a release writes passes; what could run code is named."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sluice.adapters.registry.model_files import TRUSTED_TYPES
from sluice.security.evidence import ModelScan
from sluice.security.model_files import examine_graph, is_pickle, scan_model
from support.gateway.models import write_towns

DOMAINS = ("", "ai.onnx", "ai.onnx.ml")


def scan(folder: Path, *names: str, largest: int = 10**9) -> ModelScan:
    found = names or tuple(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()
    )
    return scan_model(folder, found, TRUSTED_TYPES, DOMAINS, largest)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_towns(tmp_path_factory.mktemp("towns")).folder


def test_what_a_release_writes_is_safe(written: Path) -> None:
    found = scan(written)
    assert found.problems == ()
    assert {"model.skops", "serving/serving.onnx"} < set(found.files)
    assert found.size == sum(path.stat().st_size for path in written.rglob("*") if path.is_file())


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ["model.skops", "model.pkl", "serving.onnx", "answering.json"])
def test_a_pickle_is_named_whatever_its_name(tmp_path: Path, protocol: int, name: str) -> None:
    (tmp_path / name).write_bytes(pickle.dumps({"a": [1, 2]}, protocol))
    (problem,) = scan(tmp_path).problems
    assert problem.file == name
    assert "it is a pickle, which runs any code" in problem.words


def test_other_files_are_no_pickle() -> None:
    contents = (b"", b".", b"A sentence.", b'{"a": 1}', b"PK\x03\x04..", b"\x08\x07.")
    assert not any(map(is_pickle, contents))


def test_a_skops_file_with_an_unreviewed_type_is_named(tmp_path: Path) -> None:
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    skops.io.dump(FunctionTransformer(write_towns), tmp_path / "model.skops")
    (problem,) = scan(tmp_path).problems
    assert "types that were not reviewed" in problem.words
    assert "write_towns" in problem.words


@pytest.mark.parametrize(
    ("member", "content", "words"),
    [
        ("1.npy", pickle.dumps([1]), "its member 1.npy is a pickle"),
        ("code.py", b"import os", "its member code.py is no array"),
        ("1.npy", b"\x93NUMPY\x01\x00v\x00{'descr': '|O', ", "1.npy is an array of objects"),
    ],
)
def test_a_member_that_is_no_plain_array_is_named(
    written: Path, tmp_path: Path, member: str, content: bytes, words: str
) -> None:
    path = tmp_path / "model.skops"
    path.write_bytes((written / "model.skops").read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, content)
    assert words in " ".join(item.words for item in scan(tmp_path).problems)


def make_graph(nodes: list[Any], tensors: list[Any], **facts: Any) -> Any:
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], tensors)
    return helper.make_model(graph, **facts)


def plain_graph() -> Any:
    tensor = numpy_helper.from_array(np.ones(1, np.float32), "one")
    return make_graph([helper.make_node("Add", ["x", "one"], ["y"])], [tensor])


def name_problems(model: Any) -> str:
    return "; ".join(examine_graph(model.SerializeToString(), DOMAINS))


def test_a_plain_graph_is_safe() -> None:
    assert name_problems(plain_graph()) == ""


def test_external_data_is_named(tmp_path: Path) -> None:
    model = plain_graph()
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "../../etc/passwd")
    (tmp_path / "serving.onnx").write_bytes(model.SerializeToString())
    (problem,) = scan(tmp_path).problems
    assert problem.words.startswith("tensors lie in other files (one)")


def test_external_data_in_a_branch_and_in_an_attribute_is_named() -> None:
    inner = plain_graph()
    tensor = inner.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, "elsewhere")
    branch = helper.make_node("If", ["c"], ["y"], then_branch=inner.graph, else_branch=inner.graph)
    constant = helper.make_node("Constant", [], ["y"], value=tensor)
    for node in (branch, constant):
        assert "external data can be any file" in name_problems(make_graph([node], []))


def test_a_custom_operator_is_named() -> None:
    node = helper.make_node("Shell", ["x"], ["y"], domain="com.evil")
    assert "custom operators (com.evil.Shell)" in name_problems(make_graph([node], []))


def test_a_function_of_plain_operators_is_safe_and_one_of_others_is_not() -> None:
    call = helper.make_node("Mine", ["x"], ["y"], domain="local")
    for domain, words in (("", ""), ("com.evil", "custom operators (com.evil.Abs)")):
        body = [helper.make_node("Abs", ["a"], ["b"], domain=domain)]
        own = helper.make_function(
            "local", "Mine", ["a"], ["b"], body, [helper.make_opsetid("", 17)]
        )
        model = make_graph([call], [], functions=[own])
        assert words in name_problems(model)
        assert bool(words) == bool(name_problems(model))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("serving.onnx", b"\xff\xff\xff", "it is no ONNX graph"),
        ("serving.onnx", b"", "it is no ONNX graph"),
        ("model.skops", b"PK\x03\x04 cut", "it cannot be read"),
        ("answering.json", b"{", "not readable as JSON"),
        ("model.bin", b"x", "a file of kind .bin is not allowed"),
        ("run", b"x", "a file of kind without a suffix is not allowed"),
    ],
)
def test_what_is_none_of_the_kinds_is_named(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    (problem,) = scan(tmp_path).problems
    assert words in problem.words


def test_size_links_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[1, 2, 3, 4]")
    (tmp_path / "b.json").symlink_to(tmp_path / "a.json")
    assert "it has 12 bytes; allowed: 10" in scan(tmp_path, "a.json", largest=10).problems[0].words
    assert "a link to another file" in scan(tmp_path, "b.json").problems[0].words
    assert "it cannot be read" in scan(tmp_path, "c.json").problems[0].words
