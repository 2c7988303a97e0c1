"""FHIR resources of a folder, one by one: bundles in JSON, or one resource per line in NDJSON; .gz decompressed."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from sim.checks import Refused
from sim.cohort.tabular.unreadable import READ_ERRORS, open_binary, unreadable
from sim.progress import Watch

MEGABYTE = 20  # bits: progress is reported in units of 2**20 bytes
WHOLE, LINES = (".json", ".json.gz"), (".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz")

Json = dict[str, Any]


@dataclass(frozen=True)
class Resource:
    """One resource; `key` is the last part of references to it, `place` its file and line."""

    kind: str
    key: str
    body: Json
    place: str

    def ref(self, name: str) -> str:
        """Key of the resource that the reference `name` of this one points to, "" if there is none."""
        return key((self.body.get(name) or {}).get("reference") or "")


class BundleFolder:
    """The JSON and NDJSON files of a folder; refuses a folder without any."""

    def __init__(self, folder: Path) -> None:
        if not os.path.isdir(folder):  # unlike Path.is_dir, False for a name that is too long
            raise Refused(f"{folder}: no such folder. Name the one with the bundles, such as synthea/output/fhir.")
        self.folder = folder
        self.files = [path for path in sorted(folder.iterdir()) if path.name.lower().endswith(WHOLE + LINES)]
        if not self.files:
            tables = any(folder.glob("*.csv*"))
            hint = "It holds CSV tables: use `fedtrial cohort import synthea-csv`." if tables else ""
            deeper = sorted({path.parent for path in folder.glob("**/*") if path.name.lower().endswith(WHOLE + LINES)})
            hint = f"There are some in {deeper[0]}: name that folder." if deeper and not tables else hint
            raise Refused(f"{folder}: no .json or .ndjson file. {hint or 'Export with exporter.fhir.export = true.'}")
        self.bytes = {path: path.stat().st_size for path in self.files}
        self.megabytes = 2 * sum(self.bytes.values()) >> MEGABYTE  # read twice
        self.done = 0

    def resources(self, watch: Watch, only: re.Pattern[str] | None = None) -> Iterator[Resource]:
        """Resources in the order of the files; a text without a match of `only` is skipped without parsing."""
        for path in self.files:
            empty = True
            for line, text in texts(path):
                empty = empty and not text.strip()
                if text.strip() and (only is None or only.search(text)):
                    yield from parse(path, text, line)
            if empty:
                raise Refused(f"{path}: empty. Export it again, or take the file away if nothing belongs there.")
            self.done += self.bytes[path]
            watch(self.done >> MEGABYTE)


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """JSON texts of a file with their line numbers: each line of NDJSON, else the whole file as line 0."""
    try:
        with open_binary(path) as raw, TextIOWrapper(raw, "utf-8-sig", newline="\n") as file:
            if path.name.lower().endswith(LINES):
                yield from enumerate(file, 1)
            else:
                yield 0, file.read()
    except READ_ERRORS as error:
        raise Refused(unreadable(path, error)) from None


def parse(path: Path, text: str, line: int) -> Iterator[Resource]:
    """Resources of a JSON text; `line` is that of an NDJSON file, 0 = the text is the whole file."""
    try:
        body = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        at = f"line {line or getattr(error, 'lineno', 1)}, column {getattr(error, 'colno', 1)}"
        why = getattr(error, "msg", "nested too deep")
        raise Refused(f"{path}, {at}: not JSON ({why}). Is the copy whole? Export the bundle again.") from None
    where = f"{path}, line {line}" if line else str(path)
    if not isinstance(body, dict) or not isinstance(body.get("resourceType"), str):
        raise Refused(f"{where}: no FHIR resource: it has no resourceType. Take files that are none out of the folder.")
    entries = body.get("entry") or [] if body["resourceType"] == "Bundle" else [{"resource": body}]
    if not isinstance(entries, list):
        raise Refused(f"{where}: entry is no list of resources. The bundle is damaged; export again.")
    for number, entry in enumerate(entries):
        inner = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(inner, dict) or not isinstance(inner.get("resourceType"), str):
            raise Refused(
                f"{where}, entry {number}: no resource with a resourceType. The bundle is damaged; export again."
            )
        kind, own = inner["resourceType"], key(str(entry.get("fullUrl") or inner.get("id") or ""))
        yield Resource(kind, own, inner, f"{where}, {kind} {own or number}")


def key(reference: str) -> str:
    """The id X of a reference: urn:uuid:X, Patient/X, https://server/Patient/X/_history/2 or ?identifier=s|X."""
    return re.split(r"[/|]|urn:uuid:|urn:oid:", reference.split("/_history/")[0])[-1]
