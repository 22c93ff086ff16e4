"""An environment's rule for signatures, and model files held against it."""

import logging
from dataclasses import dataclass
from typing import Literal

from sluice.adapters.security.keys import KeyRing
from sluice.config.security.gate import load_security
from sluice.errors import SignatureInvalid
from sluice.home import Home, environment_name
from sluice.security.signature import SignedFiles, verify_files

LOG = logging.getLogger("sluice.models")


@dataclass(frozen=True)
class SignatureCheck:
    """The rule, and the keys that are trusted; private keys are not needed."""

    rule: Literal["require", "warn", "off"]
    keys: KeyRing

    def verify(self, signature: str, found: SignedFiles, name: str) -> str:
        """Return who signed what was found, or why nobody has to; `name` is for messages.

        `signature` is the text of `signature.json`, empty where there is none. With `warn` a
        signature that does not hold is logged.

        Raises:
            SignatureInvalid: the rule is `require`, and there is no signature, its key is not
                trusted, or a file differs from the signed one.
            DataUnavailable: the keys cannot be read at present.
        """
        if self.rule == "off":
            return "signatures are off"
        try:
            signed = verify_files(signature or None, self.keys.list_trusted(), found, name)
        except SignatureInvalid as error:
            if self.rule == "require":
                raise
            LOG.warning("signatures: warn: %s", error)
            return f"not signed: {error}"
        return f"key {signed.key}, by {signed.by}: {signed.reason}"


def open_signatures(home: Home) -> SignatureCheck:
    """Return the check of the environment that this process runs in.

    Raises:
        ConfigInvalid: the configuration of signatures is wrong.
    """
    environment = environment_name()
    return SignatureCheck(load_security(environment).signatures, KeyRing(home.keys(environment)))
