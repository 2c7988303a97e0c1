"""The digest of a JSON file's own content, which reveals changes."""

import hashlib
import json


def of_json(content: object) -> str:
    """BLAKE2 of plain JSON, whatever the order of its keys."""
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16).hexdigest()
