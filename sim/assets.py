"""Where configs/, datasets/ and experiments/ lie: beside the package in a checkout, inside it in a wheel."""

import os
from pathlib import Path


def root() -> Path:
    """Folder that holds configs/, datasets/ and experiments/."""
    package = Path(__file__).resolve().parent
    return package.parent if (package.parent / "configs" / "config.yaml").is_file() else package / "_assets"


def locate(path: str) -> Path:
    """A path from the current folder, or from `root()` if it is only there; an absolute path stays as it is."""
    given = Path(path).expanduser()
    ours = root() / given  # given itself, where that is absolute
    return ours if os.path.exists(ours) and not os.path.exists(given) else given  # which take names that are too long
