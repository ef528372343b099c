"""Keys of what is remembered: digests, so that no text is kept."""

import hashlib


def digest_of(*texts: str) -> bytes:
    """SHA-256 of some texts and where each of them ends."""
    digest = hashlib.sha256()
    for text in texts:
        raw = text.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.digest()
