"""Room in memory for the cells of a file: what does not fit is refused, with the arithmetic, while it is read."""

from pathlib import Path

from sim.checks import Refused

COPIES = 6  # of a file's text that live at once: as read, without blanks, with gaps marked, joined, typed, features


def refuse_too_large(path: Path, rows: int, columns: int, size: float, free: float) -> None:
    """Refuse a file of which so many rows take `size` bytes as text, if its copies do not fit into `free` bytes."""
    if COPIES * size > free:
        raise Refused(
            f"{path}: {rows:,} rows or more of {columns:,} columns are {size / 1e9:.2g} GB of text; with {COPIES} "
            f"copies of it while it is read, {COPIES * size / 1e9:.2g} GB, and {free / 1e9:.2g} GB of memory are free. "
            "Use fewer rows or columns, or a machine with more memory."
        )
