"""Sources of new rows: files, Delta tables and SQL queries."""
