"""Great Expectations: suites, their results and their pages."""
