"""What a release is examined for: vulnerabilities, secrets, unsafe files; bills and signatures."""
