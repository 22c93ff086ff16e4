"""The evidence of the security gate, bills of materials, and signatures."""
