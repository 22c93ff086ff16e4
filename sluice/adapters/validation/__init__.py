"""Great Expectations: suites, what they measure, their pages."""
