"""The lock against a service's advisories, by pip-audit itself, and against a snapshot."""

import json
import threading
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.security.audits import audit_lock
from sluice.adapters.security.pip_audit import ABSENT, ask_advisories, read_answer
from sluice.adapters.security.snapshot import audit_snapshot, find_label, take_snapshot
from sluice.config.security.gate import AdvisoriesConfig
from sluice.doctor import read_lock
from sluice.errors import DataInvalid, DataMissing
from sluice.home import LOCK, Home
from sluice.security.advisories import pin_packages

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
JINJA = {
    "id": "GHSA-h5c8-rqwp-cp95",
    "aliases": ["CVE-2024-22195"],
    "schema_version": "1.6.0",
    "summary": "Jinja vulnerable to HTML attribute injection",
    "affected": [
        {
            "package": {"name": "jinja2", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.1.3"}]}],
        }
    ],
}
VULNERABLE = "jinja2==3.1.2 \\\n    --hash=sha256:0\n"


class OsvIndex(ThreadingHTTPServer):
    """A server that answers queries as OSV does, and knows one advisory."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), OsvHandler)
        self.asked: list[tuple[str, str]] = []
        self.status = 200

    @property
    def config(self) -> AdvisoriesConfig:
        url = f"http://127.0.0.1:{self.server_address[1]}/v1/query"
        return AdvisoriesConfig(source="osv", url=url, timeout_seconds=20)


class OsvHandler(BaseHTTPRequestHandler):
    """One query: a package and a version."""

    server: OsvIndex

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["content-length"])))
        name, version = query["package"]["name"], query["version"]
        self.server.asked.append((name, version))
        hit = (name, version) == ("jinja2", "3.1.2")
        body = json.dumps({"vulns": [JINJA]} if hit else {}).encode()
        self.send_response(self.server.status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture(scope="module")
def serving() -> Iterator[OsvIndex]:
    with OsvIndex() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def index(serving: OsvIndex) -> OsvIndex:
    serving.asked, serving.status = [], 200
    return serving


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.lock"
    path.write_text(VULNERABLE, encoding="utf-8")
    return path


def write_archive(path: Path, *advisories: Any) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for number, item in enumerate(advisories):
            content = item if isinstance(item, str) else json.dumps(item)
            archive.writestr(f"{number}.json", content)
    return path


@pytest.mark.slow
def test_every_package_of_our_lock_is_looked_up_once(index: OsvIndex, tmp_path: Path) -> None:
    pins = pin_packages(read_lock(LOCK.read_text(encoding="utf-8")))
    home = Home(tmp_path)
    audit = audit_lock(home, index.config, LOCK, NOW)
    assert (audit.missing, audit.unaudited, audit.vulnerabilities) == ("", {}, ())
    assert (audit.packages, audit.date) == (len(pins), NOW)
    wanted = {(name, version) for name, versions in pins.items() for version in versions}
    assert set(index.asked) == wanted
    assert len(index.asked) == len(wanted)
    again = audit_lock(home, index.config, LOCK, NOW + timedelta(hours=20))
    assert again == audit
    assert len(index.asked) == len(wanted)


@pytest.mark.slow
def test_a_vulnerable_pin_is_found_and_kept_while_the_service_is_away(
    index: OsvIndex, lock: Path, tmp_path: Path
) -> None:
    home = Home(tmp_path)
    (found,) = audit_lock(home, index.config, lock, NOW).vulnerabilities
    assert set(found.ids) == {"GHSA-h5c8-rqwp-cp95", "CVE-2024-22195"}
    assert (found.package, found.version, found.fixed) == ("jinja2", "3.1.2", ("3.1.3",))
    index.status = 503
    later = audit_lock(home, index.config, lock, NOW + timedelta(days=2))
    assert later.vulnerabilities == (found,)
    assert later.date == NOW
    assert later.note.startswith("asked again without an answer")


@pytest.mark.slow
def test_a_service_that_does_not_answer_leaves_no_audit(
    index: OsvIndex, lock: Path, tmp_path: Path
) -> None:
    index.status = 500
    audit = audit_lock(Home(tmp_path), index.config, lock, NOW)
    assert "gave no answer" in audit.missing
    assert not list(tmp_path.rglob("audits/*.json"))


def test_what_pip_audit_skips_was_not_looked_up() -> None:
    """The very answer of pip-audit 2.10 about a package that PyPI does not know: its exit is 0."""
    answer = {
        "dependencies": [
            {"name": "ours", "skip_reason": "Dependency not found on PyPI: ours (1.0)"},
            {"name": "pip", "version": "26.0", "vulns": []},
        ],
        "fixes": [],
    }
    pins = {"ours": ("1.0",), "pip": ("26.0", "25.0"), "lost": ("1",)}
    audit = read_answer(answer, pins, "PyPI's advisories", NOW)
    assert audit.unaudited == {
        "ours": "Dependency not found on PyPI: ours (1.0)",
        "pip": ABSENT,
        "lost": ABSENT,
    }


def test_an_answer_that_is_none_leaves_no_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    audit = ask_advisories({"a": ("1",)}, AdvisoriesConfig(), tmp_path, NOW)
    assert audit.missing == "pip-audit cannot be started: No such file or directory"


def test_without_a_look_up_by_releases_nothing_is_asked(index: OsvIndex, lock: Path) -> None:
    config = index.config.model_copy(update={"lookup": "command"})
    audit = audit_lock(Home(lock.parent), config, lock, NOW)
    assert "was not asked yet; `sluice audit` asks" in audit.missing
    assert index.asked == []


@pytest.mark.parametrize("text", [None, "", "# nothing\n"])
def test_a_lock_without_packages_is_not_clean(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "requirements.lock"
    if text is not None:
        path.write_text(text)
    audit = audit_lock(Home(tmp_path), AdvisoriesConfig(), path, NOW)
    assert "cannot be read, or names no package" in audit.missing


class TestSnapshot:
    """A snapshot: a file of advisories with the index that it covers and its day."""

    config = AdvisoriesConfig(source="snapshot")

    def take(self, home: Home, *advisories: Any) -> Path:
        archive = home.security / "advisories.zip"
        source = write_archive(home.root / "all.zip", *advisories)
        take_snapshot(source, archive, "PyPI", date(2026, 11, 30))
        return archive

    def test_a_vulnerable_pin_is_found(self, lock: Path, tmp_path: Path) -> None:
        home = Home(tmp_path)
        self.take(home, JINJA)
        audit = audit_lock(home, self.config, lock, NOW)
        assert [item.ids[0] for item in audit.vulnerabilities] == [JINJA["id"]]
        assert audit.source == "the snapshot advisories.zip of PyPI, 1 advisories"
        assert audit.date == datetime(2026, 11, 30, tzinfo=UTC)
        assert audit_lock(home, self.config, lock, NOW) == audit

    def test_our_own_lock_is_clean_and_whole(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        self.take(home, JINJA)
        audit = audit_lock(home, self.config, LOCK, NOW)
        assert (audit.missing, audit.unaudited, audit.vulnerabilities) == ("", {}, ())
        assert audit.packages > 200

    def test_another_snapshot_is_looked_at_anew(self, lock: Path, tmp_path: Path) -> None:
        home = Home(tmp_path)
        other = {**JINJA, "withdrawn": "2026-01-01T00:00:00Z"}
        self.take(home, JINJA)
        assert audit_lock(home, self.config, lock, NOW).vulnerabilities
        self.take(home, other)
        assert not audit_lock(home, self.config, lock, NOW).vulnerabilities

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda path: path.unlink(), "there is no advisories.zip"),
            (lambda path: find_label(path).unlink(), "there is no advisories.zip.label.json"),
            (lambda path: path.write_bytes(path.read_bytes()[:-30]), "it changed, or is cut short"),
            (lambda path: find_label(path).write_text("{}"), "cannot be read"),
            (
                lambda path: find_label(path).write_text(
                    find_label(path).read_text().replace("PyPI", "")
                ),
                "it covers no index whole, not PyPI",
            ),
        ],
    )
    def test_one_that_is_not_whole_is_no_audit(
        self, tmp_path: Path, lock: Path, change: Any, words: str
    ) -> None:
        home = Home(tmp_path)
        change(self.take(home, JINJA))
        audit = audit_lock(home, self.config, lock, NOW)
        assert words in audit.missing

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ((), "it has no advisory of PyPI"),
            (({"id": "X", "affected": []},), "it has no advisory of PyPI"),
            (("{",), "0.json: not readable as JSON"),
            (("[]",), "0.json holds list, not an advisory"),
        ],
    )
    def test_an_archive_of_something_else_is_refused(
        self, tmp_path: Path, content: Any, words: str
    ) -> None:
        source = write_archive(tmp_path / "all.zip", *content)
        target = tmp_path / "security" / "advisories.zip"
        with pytest.raises(DataInvalid, match=words):
            take_snapshot(source, target, "PyPI", date(2026, 11, 30))
        assert audit_snapshot(target, {"a": ("1",)}).missing.endswith(
            "says which index it covers whole, and of which day"
        ) or not list(target.parent.glob("*"))

    def test_no_archive(self, tmp_path: Path) -> None:
        (tmp_path / "text.zip").write_text("no archive")
        target = tmp_path / "advisories.zip"
        with pytest.raises(DataInvalid, match=r"text\.zip is no archive of OSV advisories"):
            take_snapshot(tmp_path / "text.zip", target, "PyPI", date(2026, 11, 30))
        with pytest.raises(DataMissing, match="there is no file"):
            take_snapshot(tmp_path / "none.zip", target, "PyPI", date(2026, 11, 30))
