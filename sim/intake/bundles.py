"""FHIR resources of a folder, one by one: bundles in JSON, or one resource per line in NDJSON; .gz decompressed."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from sim.checks import Refused
from sim.cohort.tabular.unreadable import open_binary, read_errors, unreadable
from sim.progress import Watch

DECODER = json.JSONDecoder()
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
    aliases: Mapping[str, str] = field(default_factory=dict)  # Kind/id -> key, of those that the bundle calls otherwise

    def ref(self, name: str) -> str:
        """Key of the resource that the reference `name` of this one points to, "" if there is none."""
        return self.resolve(self.body.get(name))

    def resolve(self, reference: Json | None) -> str:
        """Key of the resource that a Reference points to, "" if there is none."""
        written = str((reference or {}).get("reference") or "")
        kind_and_id = "/".join(written.split("/_history/")[0].split("/")[-2:])
        return self.aliases.get(kind_and_id) or key(written)


class BundleFolder:
    """The JSON and NDJSON files of a folder; refuses a folder without any."""

    def __init__(self, folder: Path) -> None:
        if not os.path.isdir(folder):  # unlike Path.is_dir, False for a name that is too long
            raise Refused(f"{folder}: no such folder. Name the one with the bundles, such as synthea/output/fhir.")
        self.folder = folder
        self.files = [path for path in sorted(folder.iterdir()) if holds_resources(path)]
        if not self.files:
            tables = any(folder.glob("*.csv*"))
            hint = "It holds CSV tables: use `fedtrial cohort import synthea-csv`." if tables else ""
            deeper = sorted({path.parent for path in folder.glob("**/*") if holds_resources(path)})
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
                raise Refused(f"{path}: the file is empty. Export it again, or remove it if it is not needed.")
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
    except read_errors() as error:
        raise Refused(unreadable(path, error)) from None


def holds_resources(path: Path) -> bool:
    """Whether a file is JSON by its name; macOS leaves a `._NAME` beside each file that it copies."""
    return path.name.lower().endswith(WHOLE + LINES) and not path.name.startswith("._")


def parse(path: Path, text: str, line: int) -> Iterator[Resource]:
    """Resources of a JSON text; `line` is that of an NDJSON file, 0 = the text is the whole file.

    A whole file may hold several texts one after the other, as NDJSON under the name .json does.
    """
    start, number = after_blanks(text, 0), line or 1
    number += text.count("\n", 0, start)
    while start < len(text):
        try:
            body, end = DECODER.raw_decode(text, start)
            rest = after_blanks(text, end)
            if line and rest < len(text):
                raise json.JSONDecodeError("Extra data", text, rest)
        except (ValueError, RecursionError) as error:
            raise Refused(not_json(path, error, line)) from None
        alone = not line and number == 1 and rest == len(text)
        yield from unpacked(body, str(path) if alone else f"{path}, line {number}")
        number, start = number + text.count("\n", start, rest), rest


def after_blanks(text: str, start: int) -> int:
    """Position of the first letter from `start` on that is no blank or line break."""
    found = re.compile(r"\S").search(text, start)
    return found.start() if found else len(text)


def not_json(path: Path, error: BaseException, line: int) -> str:
    """Text of the refusal of a text that is not JSON, or that holds a number too long to read."""
    if not isinstance(error, json.JSONDecodeError) and isinstance(error, ValueError):
        where = f"{path}, line {line}" if line else str(path)
        return f"{where}: a number of thousands of digits, which is no measurement. Correct it, or export again."
    at = f"line {line or getattr(error, 'lineno', 1)}, column {getattr(error, 'colno', 1)}"
    why = getattr(error, "msg", "nested too deep")
    return f"{path}, {at}: not JSON ({why}). Is the copy complete? Export the bundle again."


def unpacked(body: object, where: str) -> Iterator[Resource]:
    """The resource, or those of a bundle and of the bundles in it; `where` is the place, for refusals."""
    if not isinstance(body, dict) or not isinstance(body.get("resourceType"), str):
        raise Refused(
            f"{where}: not a FHIR resource, because it has no resourceType. Remove other files from the folder."
        )
    entries = body.get("entry") or [] if body["resourceType"] == "Bundle" else [{"resource": body}]
    if not isinstance(entries, list):
        raise Refused(f"{where}: entry is not a list of resources. The bundle is damaged; export it again.")
    aliases = called_otherwise(entries)
    for number, entry in enumerate(entries):
        if isinstance(entry, dict) and "resource" not in entry and ("request" in entry or "response" in entry):
            continue  # a deletion, or an answer without a body
        inner = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(inner, dict) or not isinstance(inner.get("resourceType"), str):
            raise Refused(
                f"{where}, entry {number}: not a resource with a resourceType. The bundle is damaged; export it again."
            )
        kind, own = inner["resourceType"], key(str(entry.get("fullUrl") or inner.get("id") or ""))
        place = f"{where}, {kind} {own or number}"
        if kind == "Bundle":
            yield from unpacked(inner, place)
        else:
            yield Resource(kind, own, inner, place, aliases)


def called_otherwise(entries: list[Any]) -> Mapping[str, str]:
    """Kind/id -> key of the entries whose fullUrl is not their id: a urn, while references may use the id."""
    made = {}
    for entry in entries:
        inner = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(inner, dict) and inner.get("id") and str(entry.get("fullUrl") or "").startswith("urn:"):
            made[f"{inner.get('resourceType')}/{inner['id']}"] = key(str(entry["fullUrl"]))
    return {reference: own for reference, own in made.items() if not reference.endswith(f"/{own}")}


def key(reference: str) -> str:
    """The id X of a reference: urn:uuid:X, Patient/X, https://server/Patient/X/_history/2 or ?identifier=s|X."""
    return re.split(r"[/|]|urn:uuid:|urn:oid:", reference.split("/_history/")[0])[-1]
