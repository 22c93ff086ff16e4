"""What a release is examined for, and bills of materials."""
