from threadpoolctl import threadpool_info

from sluice.models.threads import ONE_THREAD_ROWS, limit_threads


def count_threads() -> set[int]:
    import sklearn.ensemble  # noqa: F401 - loads the native libraries

    return {pool["num_threads"] for pool in threadpool_info()}


def test_few_rows_get_one_thread() -> None:
    before = count_threads()
    with limit_threads(ONE_THREAD_ROWS - 1):
        assert count_threads() == {1}
    assert count_threads() == before


def test_many_rows_get_what_the_machine_has() -> None:
    before = count_threads()
    with limit_threads(ONE_THREAD_ROWS):
        assert count_threads() == before
