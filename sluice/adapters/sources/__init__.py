"""Where new rows are read from: dropped files, Delta tables, SQL queries."""
