"""The HTTP interface of the gateway: requests, replies, keys, pages."""
