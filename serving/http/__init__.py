"""What a caller of the gateway meets: requests, replies, keys, pages."""
