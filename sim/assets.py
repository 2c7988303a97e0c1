"""Where configs/, datasets/ and experiments/ lie: beside the package in a checkout, inside it in a wheel."""

from pathlib import Path


def root() -> Path:
    """Folder that holds configs/, datasets/ and experiments/."""
    package = Path(__file__).resolve().parent
    return package.parent if (package.parent / "configs" / "config.yaml").is_file() else package / "_assets"


def locate(path: str) -> Path:
    """A path from the current folder if it is there, else from `root()`; an absolute path stays as it is."""
    given = Path(path).expanduser()
    return given if given.is_absolute() or given.exists() else root() / given
