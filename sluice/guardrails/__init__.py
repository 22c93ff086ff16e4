"""What must not stand in a text: personal data, secrets, profanity, injected instructions.

`inspection` has the one function that the evaluation of prompts and the gateway share.
"""
