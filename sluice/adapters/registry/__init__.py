"""The model registry: runs, versions, aliases, and the files of a model."""
