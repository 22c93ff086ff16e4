"""Ingestion of data into a service's table, the watch on sources, and announcements."""
