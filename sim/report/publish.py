"""Writes the files of a report into a folder, all of them or none."""

from collections.abc import Mapping
from pathlib import Path

from sim.checks import Refused
from sim.drafts import REPORT, draft, sweep_drafts
from sim.files import make_folder, sync


def publish(files: Mapping[str, str], folder: Path, whole: tuple[str, ...] = ()) -> None:
    """Write text files, relative path -> content, into `folder`; raises Refused if the disk does not allow it.

    All of them are written and flushed under another name first, then renamed. Folders in `whole` are replaced with all
    that is in them.
    """
    make_folder(folder)
    sweep_drafts(folder)
    try:
        with draft(folder, REPORT) as made:
            for name, text in files.items():
                path = made / "new" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
                sync(path)
            for name in whole:
                (made / "new" / name).mkdir(parents=True, exist_ok=True)
                if (folder / name).exists():
                    (folder / name).rename(made / "old")
                (made / "new" / name).rename(folder / name)
            for name in files:
                if (made / "new" / name).exists():
                    (made / "new" / name).replace(folder / name)
            sync(folder)
    except OSError as error:
        raise refused(folder, error) from None


def refused(folder: Path, error: OSError) -> Refused:
    """The refusal if the files cannot be written."""
    return Refused(
        f"{folder}: the page could not be written ({error.strerror}); the previous page is unchanged. Free some disk "
        f"space, then run `fedtrial report {folder}`."
    )
