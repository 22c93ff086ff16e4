"""What is written about a release for people to read."""
