"""Checkpoints: the last good one is found whatever became of the others, and bad ones are named and kept aside."""

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from sim.records import checkpoints, environment
from sim.records.checkpoints import Link, array, arrays, newest, write
from sim.records.tensors import Streamed, digested, write_whole
from tests.toy import ROOT

RUN = "0123456789ab"


def chain(home: Path, number: int, last: Link = Link()) -> Link:  # noqa: B008 - a value
    """So many checkpoints more, each with its number."""
    for at in range(last.number + 1, last.number + number + 1):
        state = {"x": np.full(3, at, np.float32), "of": np.arange(at)}
        last = write(home, RUN, last, state, {"loss": np.array([at / 2])}, {"round": 10 * at})
    return last


def spoil(path: Path, how: str) -> None:
    content = path.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    path.write_bytes({"flipped": flipped, "cut": content[:-1], "empty": b""}[how])


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    link = chain(tmp_path, 3)
    found, wrong = newest(tmp_path, RUN)
    assert found is not None
    assert not wrong
    assert (found.link, found.about) == (link, {"round": 30})
    assert [float(arrays(part)["loss"][0]) for part in found.records] == [0.5, 1.0, 1.5]
    state = arrays(found.path)
    assert state["x"].tolist() == [3, 3, 3]
    assert state["x"].dtype == np.float32
    assert array(found.path, "of").tolist() == [0, 1, 2]


def test_two_are_kept_with_all_records(tmp_path: Path) -> None:
    chain(tmp_path, 5)
    names = sorted(re.sub(r"-\w{32}", "", path.name) for path in tmp_path.iterdir())
    assert names == [
        *(f"checkpoint-{number:06d}.safetensors" for number in (4, 5)),
        *(f"records-{number:06d}.safetensors" for number in range(1, 6)),
    ]


def test_the_cost_of_one_does_not_grow(tmp_path: Path) -> None:
    link, sizes = Link(), []
    for number in (1, 19):
        link = chain(tmp_path, number, link)
        found, _ = newest(tmp_path, RUN)
        assert found is not None
        sizes.append(found.path.stat().st_size + found.records[-1].stat().st_size)
    assert sizes[1] - sizes[0] < 200  # eighteen whole numbers more in `of`


@pytest.mark.parametrize("how", ["flipped", "cut", "empty"])
@pytest.mark.parametrize(
    ("name", "left"), [("checkpoint-000003", 2), ("records-000003", 2), ("records-000002", 0), ("records-000001", 0)]
)
def test_a_damaged_file_is_named_and_the_one_before_it_is_used(name: str, left: int, how: str, tmp_path: Path) -> None:
    link = chain(tmp_path, 3)
    (path,) = tmp_path.glob(f"{name}-*")
    spoil(path, how)
    found, wrong = newest(tmp_path, RUN)
    assert (0 if found is None else found.link.number) == left
    assert path.name in wrong[0]
    assert len(wrong) == (1 if left else 2)
    assert len(list(tmp_path.glob("checkpoint-*.broken-1"))) == len(wrong)
    again = newest(tmp_path, RUN)
    assert not again[1]
    chain(tmp_path, 2, Link() if found is None else found.link)  # and the run goes on from there
    found, wrong = newest(tmp_path, RUN)
    assert found is not None
    assert found.link.number == left + 2
    assert not wrong
    assert found.link != link


def test_a_lost_file_of_records_is_named(tmp_path: Path) -> None:
    chain(tmp_path, 2)
    (path,) = tmp_path.glob("records-000002-*")
    path.unlink()
    found, (line,) = newest(tmp_path, RUN)
    assert found is not None
    assert found.link.number == 1
    assert path.name in line
    assert "cannot be read" in line


def test_other_runs_formats_and_versions_are_not_gone_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = chain(tmp_path, 1)
    with monkeypatch.context() as other:
        other.setattr(checkpoints, "FORMAT", "2")
        link = chain(tmp_path, 1, link)
    found, (line,) = newest(tmp_path, RUN)
    assert "format 2, and 1 is read" in line
    assert found is not None
    assert found.link.number == 1
    with monkeypatch.context() as other:
        other.setattr(environment, "versions", lambda: {"torch": "9.9"})
        chain(tmp_path, 1, found.link)
    found, (line,) = newest(tmp_path, RUN)
    assert '"torch": "9.9"' in line
    assert found is not None
    found, (line,) = newest(tmp_path, "ba9876543210")
    assert found is None
    assert f"of run {RUN}" in line


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    chain(tmp_path, 1)
    (tmp_path / ".checkpoint-000002.safetensors.draft").write_bytes(b"half")
    found, wrong = newest(tmp_path, RUN)
    assert found is not None
    assert not wrong
    assert not list(tmp_path.glob(".*"))


FULL = """
import json, resource, signal, sys
from pathlib import Path
import numpy as np
from sim.records.checkpoints import Link, write
home, room = Path(sys.argv[1]), int(sys.argv[2])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
link = write(home, "0123456789ab", Link(), {"x": np.zeros(10)}, {"loss": np.zeros(1)}, {})
resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
try:
    write(home, "0123456789ab", link, {"x": np.zeros(100_000)}, {"loss": np.zeros(1)}, {})
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.parametrize("room", [100, 10_000])
def test_a_disk_without_room_leaves_the_checkpoint_before(room: int, tmp_path: Path) -> None:
    words = [sys.executable, "-c", FULL, str(tmp_path), str(room)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == f"{os.strerror(27)}\n"  # EFBIG, where a full disk says ENOSPC
    found, wrong = newest(tmp_path, RUN)
    assert found is not None
    assert found.link.number == 1
    assert not wrong
    assert not list(tmp_path.glob(".*"))
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY  # of the child alone


def test_files_are_those_of_safetensors(tmp_path: Path) -> None:
    whole = np.arange(12.0).reshape(4, 3)
    streamed = Streamed(whole.shape, whole.dtype, (whole[at : at + 2] for at in (0, 2)))
    given = {"s": streamed, "n": np.array(7), "empty": np.zeros((0, 4), np.float32), "b": np.array([True, False])}
    digest = write_whole(tmp_path / "a.safetensors", given, {"word": "yes"})
    found = load_file(digested(tmp_path / "a.safetensors", digest))
    assert set(found) == set(given)
    np.testing.assert_array_equal(found["s"], whole)
    for name in ("n", "empty", "b"):
        np.testing.assert_array_equal(found[name], given[name])
        assert found[name].dtype == given[name].dtype
    assert json.dumps(sorted(path.name for path in tmp_path.iterdir())) == json.dumps([f"a-{digest}.safetensors"])
