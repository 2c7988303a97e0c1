"""Location of configs/, datasets/ and experiments/: beside the package in a checkout, inside it in a wheel."""

import os
from pathlib import Path

from sim.files import expanded


def root() -> Path:
    """Folder that holds configs/, datasets/ and experiments/."""
    package = Path(__file__).resolve().parent
    return package.parent if (package.parent / "configs" / "config.yaml").is_file() else package / "_assets"


def locate(path: str) -> Path:
    """`path` relative to the current folder or, if it exists only there, to `root()`; an absolute path is unchanged."""
    given = expanded(path)
    ours = root() / given  # given itself, where that is absolute
    # os.path.exists, unlike Path.exists, is False for a name that is too long for the file system.
    return ours if os.path.exists(ours) and not os.path.exists(given) else given
