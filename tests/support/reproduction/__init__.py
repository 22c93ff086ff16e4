"""Projects in repositories of their own, whose commits can be checked out again."""
