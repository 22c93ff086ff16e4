"""The report of an evaluated prompt version: a page of its own, a table, a CI summary."""
