"""A report of drift for people: a page of its own, an artifact, a terminal, named figures."""
