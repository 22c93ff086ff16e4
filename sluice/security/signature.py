"""Signatures of model files: who vouches, with which key, for which bytes.

A statement names the service, the registry run, the sha256 of each file that serving reads and of
the configuration, the signer and the reason. It is signed by Ed25519 (RFC 8032) over its canonical
JSON.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from sluice.documents import DocumentInvalid, parse_json
from sluice.errors import SignatureInvalid

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FILE = "signature.json"
FORMAT = 1
TEXTS = ("service", "run_id", "config", "at", "by", "reason", "key")
"""The facts of a statement that are texts."""


@dataclass(frozen=True)
class SignedFiles:
    """The statement of a signature; `files` are sha256 by name, `config` that of `config.yaml`.

    `at` is a UTC time in ISO form, `by` and `reason` say who signed and why.
    """

    service: str
    run_id: str
    files: Mapping[str, str]
    config: str
    at: str
    by: str
    reason: str
    key: str = ""
    format: int = FORMAT

    def to_bytes(self) -> bytes:
        """Return the canonical JSON, which is what is signed."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()


def describe_files(service: str, run_id: str, files: Mapping[str, str], config: str) -> SignedFiles:
    """Return what was found, to be held against a statement; `files` are sha256 by name."""
    return SignedFiles(service, run_id, dict(files), hash_text(config), "", "", "")


def hash_text(text: str) -> str:
    """Return the sha256 of a text, as a statement has it."""
    return sha256(text.encode()).hexdigest()


def name_key(public: bytes) -> str:
    """Return the id of a public key: 16 digits of the sha256 of its 32 bytes."""
    return sha256(public).hexdigest()[:16]


def sign_files(statement: SignedFiles, private: "Ed25519PrivateKey") -> str:
    """Return the signed statement as JSON; its `key` is filled in."""
    key = name_key(private.public_key().public_bytes_raw())
    whole = SignedFiles(**{**asdict(statement), "key": key})
    signature = base64.b64encode(private.sign(whole.to_bytes())).decode()
    return json.dumps({"statement": asdict(whole), "signature": signature}, indent=2) + "\n"


def verify_files(
    text: str | None, trusted: Mapping[str, bytes], found: SignedFiles, name: str
) -> SignedFiles:
    """Return the statement, if a trusted key signed exactly what was found.

    `trusted` are public keys by id, `found` is what there is now; `name` is the version's, such as
    `employment v3`. Its signer, reason and time are not compared.

    Raises:
        SignatureInvalid: there is no signature, its key is not trusted, or something differs.
    """
    if text is None:
        service, _, version = name.rpartition(" v")
        raise SignatureInvalid(
            f"{name} is not signed; next: release it again, or "
            f"`sluice sign {service} {version} --by NAME --reason WORDS`"
        )
    statement, signature = read_signature(text, name)
    public = trusted.get(statement.key)
    if public is None:
        known = ", ".join(sorted(trusted)) or "none"
        raise SignatureInvalid(
            f"{name} is signed with the key {statement.key}, which is not trusted here; trusted: "
            f"{known}; next: `sluice keys trust FILE`, if the key is yours"
        )
    _verify(statement, signature, public, name)
    if problem := compare_files(statement, found):
        raise SignatureInvalid(f"{name}: {problem}; next: release it again")
    return statement


def read_signature(text: str, name: str) -> tuple[SignedFiles, bytes]:
    """Return the statement of `signature.json` and its signature, which is not verified.

    Raises:
        SignatureInvalid: the text is not a signature.
    """
    try:
        values: Any = parse_json(text)
        statement = SignedFiles(**values["statement"])
        texts = [getattr(statement, name) for name in TEXTS]
        texts += [*dict(statement.files).keys(), *dict(statement.files).values()]
        if statement.format != FORMAT or not all(isinstance(text, str) for text in texts):
            raise ValueError("another format")
        return statement, base64.b64decode(values["signature"], validate=True)
    except (DocumentInvalid, LookupError, TypeError, ValueError, binascii.Error) as error:
        raise SignatureInvalid(f"{name}: {FILE} is no signature; next: release it again") from error


def _verify(statement: SignedFiles, signature: bytes, public: bytes, name: str) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, statement.to_bytes())
    except (InvalidSignature, ValueError, TypeError) as error:
        words = f"{name}: {FILE} was changed after it was signed; next: release it again"
        raise SignatureInvalid(words) from error


def compare_files(statement: SignedFiles, found: SignedFiles) -> str:
    """Return how what was found differs from what was signed; empty where it does not."""
    for fact in ("service", "run_id"):
        if getattr(statement, fact) != getattr(found, fact):
            return f"its signature is of {fact} {getattr(statement, fact)}"
    if statement.config != found.config:
        return "config.yaml is not the one that was signed"
    for file in sorted({*statement.files, *found.files}):
        if file not in statement.files:
            return f"{file} was not signed"
        if file not in found.files:
            return f"{file} was signed, and is gone"
        if statement.files[file] != found.files[file]:
            return f"{file} is not the one that was signed: it was changed after its registration"
    return ""
