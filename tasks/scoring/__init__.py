"""Tasks of the flow `score_batch`: find the input, load the version, score part by part."""
