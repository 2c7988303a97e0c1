"""Refusals of files that cannot be read: which line or byte is wrong, and what to do."""

import csv
import gzip
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from sim.lazy import pa

MAGIC_BYTES = {  # first bytes of a file -> its kind, and what to do
    b"PAR1": "It is a Parquet file: give it a name that ends in .parquet where Parquet is read, or save it as CSV.",
    b"\x1f\x8b": "It is packed by gzip: give it a name that ends in .gz, or unpack it.",
    b"PK\x03\x04": "It is a zip archive, as spreadsheets are too: unpack it, or save it as CSV in UTF-8.",
    b"BZh": "It is packed by bzip2: unpack it (bunzip2), or pack it by gzip.",
    b"\xfd7zXZ": "It is packed by xz: unpack it (unxz), or pack it by gzip.",
    b"\x28\xb5\x2f\xfd": "It is packed by zstd: unpack it (unzstd), or pack it by gzip.",
    b"\xd0\xcf\x11\xe0": "It is a spreadsheet or another Office document: save it as CSV in UTF-8.",
    b"\0" * 12 + b"\xc2\xea\x81\x60": "It is a SAS data set: save it as CSV in UTF-8 (PROC EXPORT).",
    b"$FL": "It is an SPSS file: save it as CSV in UTF-8.",
    b"<stata_dta>": "It is a Stata file: save it as CSV in UTF-8 (export delimited).",
    b"RDX": "It is an R workspace: save the table as CSV in UTF-8 (write.csv).",
    b"SQLite format 3": "It is an SQLite database: save the table as CSV in UTF-8.",
    b"\x89HDF": "It is an HDF5 file: save the table as CSV in UTF-8.",
    b"\xff\xfe": "It is UTF-16: convert it (iconv -f utf-16 -t utf-8).",
    b"\xfe\xff": "It is UTF-16: convert it (iconv -f utf-16 -t utf-8).",
}
NUL_REMEDY = (
    "A crash leaves such bytes, and UTF-16 has them: copy the file again, or convert it (iconv -f utf-16le -t utf-8)."
)


@dataclass(frozen=True)
class Ragged:
    """A line with more or fewer cells than the others have; `row` as Arrow counts."""

    row: int
    expected: int
    cells: int

    def in_words(self, path: Path, line: int, cells: int) -> str:
        """Text of the refusal."""
        return (
            f"{path}, line {line}: {cells} cells where the others have {self.expected}. Correct it: a cell that "
            "holds the separator or a quote must be in quotes, and every quote closed."
        )


def read_errors() -> tuple[type[Exception], ...]:
    """What reading a file may raise: errors of the system, of text, of packed files and of Arrow."""
    return pa.ArrowException, UnicodeDecodeError, OSError, EOFError, zlib.error, csv.Error


def ragged(error: BaseException) -> Ragged | None:
    """The line that Arrow stumbled over, if that is the error."""
    found = re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", str(error))
    return Ragged(*map(int, found.groups())) if found else None


def open_binary(path: Path) -> IO[bytes]:
    """A file opened for reading bytes, .gz decompressed."""
    return cast(IO[bytes], (gzip.open if path.suffix == ".gz" else open)(path, "rb"))


def unreadable(path: Path, error: BaseException) -> str:
    """Text of the refusal of a file for a reading error, or for a line with too many or too few cells."""
    if isinstance(error, UnicodeDecodeError) or (isinstance(error, pa.ArrowException) and "UTF8" in str(error)):
        return not_text(path)
    why = str(error).splitlines()[0] if str(error) else type(error).__name__
    short = ragged(error)
    if isinstance(error, IsADirectoryError):
        return f"{path}: is a folder. Name a file, or take it away."
    if short:
        return short.in_words(path, short.row, short.cells)
    if "straddl" in why:
        return f"{path}: a line is longer than megabytes. Is there a quote that is never closed? Export it again."
    if "footer" in why or "Parquet file size" in why:
        return (
            f"{path}: not readable as Parquet: it has no end, as a file that is cut off or of another kind. Is the "
            "copy whole? Compare its size, or write it again."
        )
    if "Empty CSV" in why:
        return f"{path}: no rows. Export it again, or take the file away if it is optional."
    why = why[:200].rstrip(". ")
    return f"{path}: cannot be read to its end: {why}. Is the copy whole? Compare its size, or export it again."


def not_text(path: Path) -> str:
    """Text of the refusal of a file that is not UTF-8 text, with the position of the first wrong byte."""
    before, head = 0, b""
    try:
        with open_binary(path) as file:
            for line, text in enumerate(file, 1):
                head = head or text[:16]
                wrong = first_bad_byte(text)
                if wrong is not None:
                    kind = next((advice for magic, advice in MAGIC_BYTES.items() if head.startswith(magic)), "")
                    other = "Convert the file (iconv -f latin1 -t utf-8), or save or export it again as UTF-8."
                    remedy = kind or (other if text[wrong] else NUL_REMEDY)
                    byte = f"byte {before + wrong} is 0x{text[wrong]:02x}"
                    return f"{path}, line {line}: {byte}, which is not UTF-8 text. {remedy}"
                before += len(text)
    except read_errors() as error:
        return unreadable(path, error)
    return f"{path}: not UTF-8 text. Convert the file (iconv -f latin1 -t utf-8), then try again."


def first_bad_byte(text: bytes) -> int | None:
    """Position of the first byte of a line that UTF-8 text does not have; None if there is none."""
    nul = text.find(b"\0")
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start if nul < 0 else min(error.start, nul)
    return nul if nul >= 0 else None
