"""A provider of language models for tests: both dialects over real HTTP, with planted faults."""
