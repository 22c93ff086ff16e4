"""A retraining that a gate halts says that nothing changed."""

from tasks.release.history import describe_stop

FOUND = "CandidateWorse: auc .812 against champion .835"


def test_a_halted_retraining_says_that_the_champion_still_serves() -> None:
    cause = "performance.dropped: accuracy 0.71 against 0.79"
    assert describe_stop(cause, 3, "halted", FOUND) == f"halted, v3 still serves: {FOUND}"


def test_any_other_release_says_what_stopped_it() -> None:
    assert describe_stop("by hand", 3, "halted", FOUND) == f"halted: {FOUND}"
    assert describe_stop("data.changed", 3, "failed", FOUND) == f"failed: {FOUND}"
    assert describe_stop("schedule", None, "halted", FOUND) == f"halted: {FOUND}"
