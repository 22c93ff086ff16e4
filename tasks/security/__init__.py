"""The evidence of the security gate, and bills of materials."""
