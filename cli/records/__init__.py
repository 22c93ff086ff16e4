"""Commands about what is on record: who served when, and whether a version can be made again."""
