"""What a new file of rows seems to be, and the service that would fit it."""
