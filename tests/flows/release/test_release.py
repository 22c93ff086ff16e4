"""A clean release, from files to a candidate that is promoted."""

import base64
import pickletools
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.registry.client import open_registry
from sluice.control.admission import GATES
from sluice.errors import DataInvalid, DataMissing
from sluice.home import Home
from sluice.report.markdown import PAGE_PIXELS, measure_table
from support.releases.runs import artifacts_of, gate_runs_of, ingest_year, session_root

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def candidate(stocked: Home) -> Any:
    """Return the state of a release with 2017, compared with the champion of 2015-16."""
    from flows.release import release

    assert ingest_year(2017).is_completed()
    return release("employment", cause="data 2017", return_state=True)


def test_first_release_becomes_champion(stocked: Home) -> None:
    champion = open_registry(stocked).find_alias("employment", "champion")
    assert champion is not None
    assert champion.version == 1
    assert champion.data_version == 1


def test_release_registers_a_candidate_beside_the_champion(stocked: Home, candidate: Any) -> None:
    assert candidate.is_completed(), candidate.message
    registry = open_registry(stocked)
    found, champion = (
        registry.find_alias("employment", name) for name in ("candidate", "champion")
    )
    assert found is not None
    assert champion is not None
    assert (champion.version, found.version) == (1, 2)


def test_version_has_the_identity(stocked: Home, candidate: Any) -> None:
    found = open_registry(stocked).find_alias("employment", "candidate")
    assert found is not None
    assert found.tags["sluice.data.rows"] == "36000"
    assert found.tags["sluice.release"] == candidate.result().release
    assert set(GATES) == {
        key.rsplit(".", 1)[1] for key in found.tags if key.startswith("sluice.verdict.")
    }
    for key in ("sluice.code.commit", "sluice.config.hash", "sluice.environment.lock_hash"):
        assert found.tags[key]


def test_run_keeps_the_files_for_a_person(stocked: Home, candidate: Any) -> None:
    folder = next((stocked.model_artifacts / "employment").glob(candidate.result().run_id))
    kept = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    expected = {"config.yaml", "model_card.md", "bom.cdx.json", "data_docs/validation.html"}
    expected |= {f"verdicts/{gate}.json" for gate in GATES}
    plots = ("ranking", "calibration", "confusion", "slices", "importance")
    expected |= {f"artifacts/plots/{name}.png" for name in (*plots, "fairness")}
    missing = {name for name in expected if not any(path.endswith(name) for path in kept)}
    assert not missing, kept


def test_the_reference_profile_is_kept_and_can_be_built_again(
    stocked: Home, candidate: Any
) -> None:
    from sluice.drift.rule import judge_drift
    from tasks.drift.profiles import load_profile, rebuild_profile

    registry = open_registry(stocked)
    found = registry.find_alias("employment", "candidate")
    assert found is not None
    profile = load_profile("employment", found)
    assert (profile.data_version, profile.rows) == (2, profile.columns["age"].counts.rows)
    assert profile.importance["age"] > 0.0
    assert set(profile.importance) <= set(profile.columns)
    assert {"(prediction)", "(score)", "employed"} < set(profile.columns)
    assert {name.partition("=")[0] for name in profile.parts} == {"sex", "race", "education"}
    assert judge_drift(profile, profile.reference)["data"].outcome == "clean"
    assert rebuild_profile("employment", 2).before == "equal"


def test_a_version_from_before_gets_its_profile(stocked: Home, candidate: Any) -> None:
    from sluice.drift.document import FILE, write_profile
    from tasks.drift.profiles import load_profile, rebuild_profile

    registry = open_registry(stocked)
    version = registry.find_alias("employment", "candidate")
    assert version is not None
    before = load_profile("employment", version)
    registry.log_text(version.run_id, FILE, '{"format": 0}')
    with pytest.raises(DataInvalid, match="format: found 0, allowed: 1"):
        load_profile("employment", version)
    assert rebuild_profile("employment", 2).before == "damaged"
    assert write_profile(load_profile("employment", version)) == write_profile(before)
    assert rebuild_profile("employment").before == "equal"  # of the champion
    with pytest.raises(DataMissing, match="has no version 99"):
        rebuild_profile("employment", 99)


def test_each_gate_published_its_verdict(candidate: Any) -> None:
    artifacts = artifacts_of(candidate)
    for gate in GATES:
        page = artifacts[f"employment-verdict-{gate}"].data
        assert f"# {gate} gate: pass" in page
        assert "| check | measured | limit | note |" in page
        tables = [part for part in page.split("\n\n") if part.startswith("|")]
        assert all(measure_table(table) <= PAGE_PIXELS for table in tables)
    assert "data:image/png;base64," in artifacts["employment-evaluation"].data
    assert "data:image/png;base64," in artifacts["employment-fairness"].data


def test_each_gate_ran_once(candidate: Any) -> None:
    counts = {name: run.run_count for name, run in gate_runs_of(candidate).items()}
    assert counts == dict.fromkeys(GATES, 1)


def test_onnx_export_is_kept_with_the_model(stocked: Home, candidate: Any) -> None:
    import numpy as np

    from sluice.adapters.tables.delta import read_version
    from sluice.config.loading import load_service
    from sluice.models.export.onnx_export import take_columns
    from sluice.models.prediction import predict

    registry, config = open_registry(stocked), load_service("employment", "development")
    found = registry.find_alias("employment", "candidate")
    assert found is not None
    assert found.tags["sluice.serving.form"] == "onnx"
    frame = read_version(stocked.table("employment"), "employment", 2, "person_id")[0].to_pandas()
    native = predict(registry.load_model(found), frame, config.data, config.problem)
    exported = registry.load_export(found).predict(take_columns(frame, config.data))
    assert native.scores is not None
    assert np.array_equal(exported.labels, native.labels)
    np.testing.assert_allclose(exported.scores, native.scores, rtol=0, atol=1e-12)


def test_first_champion_creates_the_route(stocked: Home, candidate: Any) -> None:
    from sluice.adapters.control.store import open_control

    route = open_control(stocked).routes.find("employment")
    assert route is not None
    assert (route.champion, route.candidate, route.epoch) == (1, None, 1)


def test_gateway_gets_both_versions_proved_on_their_samples(stocked: Home, candidate: Any) -> None:
    from serving.models.cache import ModelCache
    from serving.models.loading import load_cached
    from serving.process.version_fetch import fetch_version
    from sluice.adapters.control.store import open_control

    registry, models = open_registry(stocked), ModelCache(stocked.models, None)
    admissions = open_control(stocked).admissions
    found = [
        fetch_version(registry, admissions, models, ("employment", version)) for version in (1, 2)
    ]
    loaded = [load_cached(models, entry) for entry in found]
    assert [(item.version, item.backend.name, item.checked_rows) for item in loaded] == [
        (1, "onnx", 64),
        (2, "onnx", 64),
    ]


def test_promote_moves_the_aliases(stocked: Home, candidate: Any) -> None:
    from flows.promote import promote

    assert promote("employment", return_state=True).is_completed()
    registry = open_registry(stocked)
    champion, previous = (
        registry.find_alias("employment", name) for name in ("champion", "previous")
    )
    assert champion is not None
    assert previous is not None
    assert (champion.version, previous.version) == (2, 1)


def test_promote_moves_the_route(stocked: Home, candidate: Any) -> None:
    from flows.promote import promote
    from sluice.adapters.control.store import open_control

    promote("employment", return_state=True)  # the test before did, where it ran
    route = open_control(stocked).routes.find("employment")
    assert route is not None
    assert (route.champion, route.epoch) == (2, 2)


def test_promote_without_a_candidate_is_refused(stocked: Home, candidate: Any) -> None:
    from flows.promote import promote

    open_registry(stocked)
    promote("employment", return_state=True)
    state = promote("employment", return_state=True)
    assert state.message.startswith("PromotionRefused: ")


def test_scratch_folder_is_removed(stocked: Home, candidate: Any) -> None:
    assert not list((stocked.root / "work").glob("*"))


def is_pickle(content: bytes) -> bool:
    """Return whether bytes, or the content of their base64 text, are a pickle."""
    candidates = [content]
    with suppress(ValueError):
        candidates.append(base64.b64decode(content, validate=True))
    for item in candidates:
        try:
            operations = [name.name for name, _, _ in pickletools.genops(item)]
        except Exception:  # noqa: S112  most files end here: not a pickle
            continue
        if operations[0] == "PROTO":
            return True
    return False


def test_pickle_is_recognised() -> None:
    import pickle

    assert is_pickle(pickle.dumps({"a": 1}))
    assert is_pickle(base64.b64encode(pickle.dumps([1])))
    assert not is_pickle(b'{"a": 1}')


def test_nothing_that_was_written_is_a_pickle(stocked: Home, candidate: Any) -> None:
    found = []
    for root in (stocked.root, session_root()):
        for path in (item for item in root.rglob("*") if item.is_file()):
            found += [str(path) for content in read_members(path) if is_pickle(content)]
    assert not found


def read_members(path: Path) -> list[bytes]:
    """Return a file's bytes; for an archive also those of its members."""
    contents = [path.read_bytes()]
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            contents += [archive.read(name) for name in archive.namelist()]
    return contents
