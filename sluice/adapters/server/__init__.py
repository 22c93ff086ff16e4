"""The Prefect server and the pages, as processes."""
