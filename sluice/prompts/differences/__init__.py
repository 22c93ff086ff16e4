"""What differs between two versions of a prompt, and between two answers."""
