"""Reports of experiments: the page in Prefect, and one HTML file."""
