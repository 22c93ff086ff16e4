"""The gateway's processes: supervisor, workers, fetcher."""
