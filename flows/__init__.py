"""In which order things happen; one file a flow."""
