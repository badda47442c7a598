"""Signed values: each is valid for one purpose, and carries the time at which it was signed.

The format is that of `TimestampSigner` of itsdangerous. The keys are derived once, not with each signature.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from itsdangerous import BadSignature, TimestampSigner
from itsdangerous.encoding import base64_decode, base64_encode, want_bytes
from itsdangerous.signer import SigningAlgorithm

from tim.mac import mac

MAX_LEAD: Final = 60
"""Seconds that the clock of the signing node may be ahead of the clock of this node."""


class _Prepared(SigningAlgorithm):
    """HMAC-SHA256 under keys that are prepared once."""

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return mac(key, value)


class _DerivedOnce(TimestampSigner):
    """A signer that derives its keys when it is made, not with each signature, and has a clock of its own."""

    def __init__(self, keys: list[str], purpose: str, clock: Callable[[], float]) -> None:
        super().__init__(keys, salt=purpose, key_derivation="hmac", digest_method=hashlib.sha256, algorithm=_Prepared())
        self._clock = clock
        self._derived = {key: TimestampSigner.derive_key(self, key) for key in self.secret_keys}

    def derive_key(self, secret_key: str | bytes | None = None) -> bytes:
        return self._derived[self.secret_keys[-1] if secret_key is None else want_bytes(secret_key)]

    def get_timestamp(self) -> int:
        return int(self._clock())


class Signer:
    """Signs values for one purpose and reads them again.

    Args:
        keys: oldest first; the last one signs, all verify.
        purpose: values that are signed for another purpose are invalid here.
        clock: unix seconds.
        latest: the latest time that `clock` has shown, as in `tim.latest`.
    """

    def __init__(self, keys: list[str], purpose: str, clock: Callable[[], float], latest: Callable[[], float]) -> None:
        self._clock = clock
        self._latest = latest
        self._signer = _DerivedOnce(keys, purpose, clock)

    def sign(self, value: str) -> str:
        return self._signer.sign(value).decode()

    def digest(self, secret: str) -> str:
        """A keyed digest, by which `is_digest` recognizes the secret; it tells nothing else of it."""
        return self._signer.get_signature(secret).decode()

    def is_digest(self, digest: str, secret: str) -> bool:
        """Whether this is the digest of `secret`, under any of the keys."""
        return self._signer.verify_signature(secret, digest)

    def signs(self, signed: str | None, value: str, *, life: float) -> bool:
        """Whether `signed` is an unaltered signature of `value`, at most `life` seconds old."""
        return self.read(signed, life=life) == value

    def read(self, signed: str | None, *, life: float) -> str | None:
        """The signed value; None where `signed` is altered in any bit or older than `life` seconds."""
        if not signed or not signed.isascii():
            return None
        try:
            value, made = self._signer.unsign(signed, return_timestamp=True)
            signature = signed.rpartition(".")[2].encode()
            # The last bits of base64 carry no data, and itsdangerous accepts any value there.
            whole = base64_encode(base64_decode(signature)) == signature
        except BadSignature:
            return None
        signed_at = made.timestamp()
        in_time = self._clock() - life <= signed_at <= self._latest() + MAX_LEAD
        return value.decode() if whole and in_time else None
