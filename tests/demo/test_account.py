"""What a story says at its end of those who called."""

import pytest

from demo.watch import show_callers


def test_errors_at_callers_are_counted_by_their_kind(capsys: pytest.CaptureFixture[str]) -> None:
    source = {"arm": "champion", "version": 1, "answers": 40, "right": 30}
    show_callers({"sent": 42, "sources": [source], "errors": {"503": 1, "time limit": 1}})
    said = capsys.readouterr().out
    assert "75.0%" in said
    assert "callers sent 42 requests; errors at callers: 503: 1, time limit: 1" in said
