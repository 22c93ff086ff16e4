"""The callers' part of the report at the end of the demonstration."""

import pytest

from demo.watch import show_callers


def test_errors_at_callers_are_counted_by_their_kind(capsys: pytest.CaptureFixture[str]) -> None:
    source = {"arm": "champion", "version": 1, "answers": 40, "right": 30}
    show_callers({"sent": 42, "sources": [source], "errors": {"503": 1, "time limit": 1}})
    output = capsys.readouterr().out
    assert "75.0%" in output
    assert "callers sent 42 requests; errors at callers: 503: 1, time limit: 1" in output
