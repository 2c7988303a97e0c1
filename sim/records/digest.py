"""The digest that a JSON file carries of its own content, so that a changed one is noticed."""

import hashlib
import json


def of_json(content: object) -> str:
    """BLAKE2 of plain JSON, whatever the order of its keys."""
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16).hexdigest()
