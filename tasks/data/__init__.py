"""Data on its way into a service's table: ingestion, sources, announcements."""
