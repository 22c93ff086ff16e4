"""The profile of a new file of rows, and the draft of a service for it."""
