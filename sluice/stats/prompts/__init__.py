"""Evidence about a prompt version from the scores of its answers: n counts cases, not repeats."""
