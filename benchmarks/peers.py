"""fedtrial against its peers: the same work from the same start on the same machine, in turn.

    python benchmarks/peers.py [--model mlp|lr] [--sites 1000] [--only loop,pfl,flower,ours] [--json FILE]

A hand-written PyTorch loop, pfl-research, Flower's simulation, and fedtrial. Each row is a process of its own; pfl and
Flower live in virtual environments that this script makes under --cache. The loop runs first and last, and every speed
is against the median of all its rounds. All shuffle in their own way, so accuracies agree to about a point, which shows
that the same work was done. What a row prints is kept in --cache, in logs/.
"""

import argparse
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from byhand import BATCH, LR, MODELS, ROWS, make
from environments import SetUpFailed, environment
from process import Watched, watch
from workload import cores, table, told, write_json

import sim

HERE = Path(__file__).parent
FLOWER, PFL = "flwr[simulation]==1.42.0", "pfl[pytorch]==0.6.0"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nnodes=1")
LOOP = "hand-written PyTorch loop"


@dataclass(frozen=True)
class Peer:
    """One row of the table; words in braces are filled in."""

    name: str
    group: str  # what --only chooses
    script: str  # in benchmarks/peers
    before: tuple[str, ...] = ()  # words between the interpreter and the script
    after: tuple[str, ...] = ()  # words after the file and the number of rounds
    needs: str = ""  # what its environment must hold; "" = fedtrial's own environment
    slow: bool = False  # measured for --slow-rounds


PEERS = (
    Peer(LOOP, "loop", "loop.py"),
    Peer("pfl-research, 1 process", "pfl", "pfl_research.py", needs=PFL),
    Peer(
        "pfl-research, {cores} processes",
        "pfl",
        "pfl_research.py",
        before=(*TORCHRUN, "--nproc_per_node={cores}"),
        needs=PFL,
    ),
    Peer("Flower simulation, {cores} actors", "flower", "flower.py", after=("{cores}",), needs=FLOWER, slow=True),
    Peer("fedtrial, fused, 1 thread", "ours", "fedtrial.py", after=("--tier", "fused")),
    Peer("fedtrial, stacked, 1 thread", "ours", "fedtrial.py", after=("--tier", "stacked")),
    Peer("fedtrial, {cores} threads", "ours", "fedtrial.py", after=("--threads", "{cores}")),
    Peer("fedtrial, Ray, {cores} workers", "ours", "fedtrial.py", after=("--workers", "{cores}")),
    Peer(f"{LOOP}, again", "loop", "loop.py"),
)


@dataclass(frozen=True)
class Row:
    """A peer and what was seen of it."""

    name: str
    group: str
    warm: int  # rounds not measured
    seen: Watched
    versions: dict[str, str]  # of a peer's own environment

    @property
    def seconds(self) -> list[float]:
        """Measured rounds, s."""
        return self.seen.seconds(self.warm)

    @property
    def median(self) -> float:
        """Seconds of a round; NaN when none was measured."""
        return statistics.median(self.seconds) if self.seconds else float("nan")


def measure(peer: Peer, wanted: argparse.Namespace, file: Path) -> Row:
    """Run one peer to its end."""
    fill = {"cores": wanted.cores}
    name = peer.name.format(**fill)
    warm, counted = (1, wanted.slow_rounds) if peer.slow else (2, wanted.rounds)
    print(f"{name} ...", file=sys.stderr, flush=True)
    try:
        python, versions = environment(wanted.cache, peer.needs) if peer.needs else (Path(sys.executable), {})
    except SetUpFailed as failed:
        return Row(name, peer.group, warm, Watched(0.0, [], [], 0, f"set-up: {failed}"), {})
    before, after = ([word.format(**fill) for word in words] for words in (peer.before, peer.after))
    script = str(HERE / "peers" / peer.script)
    command = [str(python), *before, script, str(file), str(warm + counted), *after]
    log = wanted.cache / "logs" / f"{peer.script.removesuffix('.py')}-{PEERS.index(peer)}.log"
    with tempfile.TemporaryDirectory(prefix="peers-", ignore_cleanup_errors=True) as own:
        paths = [str(HERE)] if peer.needs else [str(HERE), str(Path(sim.__file__).parents[1])]
        quiet = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_HOME": own, "RAY_TMPDIR": own, "RAY_USAGE_STATS_ENABLED": "0"}
        threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        env = {**os.environ, **quiet, **threads, "PYTHONPATH": os.pathsep.join(paths)}
        seen = watch(command, env, warm + counted, wanted.timeout, log)
    return Row(name, peer.group, warm, seen, versions)


def show(row: Row, loop: float, compared: int) -> list[str]:
    """Cells of the table."""
    if not row.seconds:
        return [row.name, f"failed: {row.seen.failure}", *["-"] * 6]
    name = f"{row.name} ({row.seen.failure})" if row.seen.failure else row.name
    return [
        name,
        duration(row.median),
        duration(min(row.seconds)),
        factor(loop / row.median),
        f"{row.seen.scores[compared - 1]:.3f}",
        f"{row.seen.start_up(row.warm):.1f} s",
        f"{row.seen.memory / 2**20:,.0f} MiB" if row.seen.memory else "-",
        str(len(row.seconds)),
    ]


def duration(seconds: float) -> str:
    """A round's time in words."""
    return f"{1e3 * seconds:.1f} ms" if seconds < 0.1 else f"{1e3 * seconds:,.0f} ms"


def factor(ratio: float) -> str:
    """A ratio in about three figures; "-" when it is not known."""
    if ratio != ratio:
        return "-"
    return f"{ratio:.{0 if ratio >= 100 else 1 if ratio >= 10 else 2}f} x"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=1000, help=f"sites of {ROWS} rows each")
    parser.add_argument("--model", choices=MODELS, default="mlp", help="mlp: 32-64-2; lr: 32-2, softmax")
    parser.add_argument("--rounds", type=int, default=10, help="measured rounds, after two that are not")
    parser.add_argument("--slow-rounds", type=int, default=3, help="Flower's measured rounds, after one that is not")
    parser.add_argument("--cores", type=int, default=min(2, cores()), help="processes, actors, threads or workers")
    parser.add_argument("--only", default="loop,pfl,flower,ours", help="groups of rows, with commas between")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds that a row may take")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "fedtrial-peers", help="environments")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    wanted = parser.parse_args()
    wanted.only = wanted.only.split(",")
    unknown = set(wanted.only) - {peer.group for peer in PEERS}
    if unknown:
        parser.error(f"--only={','.join(sorted(unknown))}: allowed loop, pfl, flower, ours")
    if min(wanted.sites, wanted.rounds, wanted.slow_rounds, wanted.cores) < 1:
        parser.error("--sites, --rounds, --slow-rounds and --cores must be at least 1")
    wanted.cache = wanted.cache.absolute()
    return wanted


def main() -> None:
    wanted = options()
    (wanted.cache / "logs").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="work-") as folder:
        file = Path(folder) / "work.npz"
        make(wanted.sites, model=wanted.model).save(file)
        rows = [measure(peer, wanted, file) for peer in PEERS if peer.group in wanted.only]
    good = [row for row in rows if row.seconds]
    loops = [seconds for row in good if row.group == "loop" for seconds in row.seconds]
    loop = statistics.median(loops) if loops else float("nan")
    compared = min((len(row.seen.scores) for row in good), default=0)
    print(f"{wanted.sites:,} sites of {ROWS} rows, {wanted.model}. {told()}\n")
    head = [
        "",
        "median round",
        "fastest",
        "speed",
        f"accuracy, round {compared or '-'}",
        "start-up",
        "peak memory",
        "rounds",
    ]
    print(table(head, [show(row, loop, compared) for row in rows]))
    if wanted.json:
        write_json(
            wanted.json,
            "peers",
            {
                "sites": wanted.sites,
                "rows": ROWS,
                "model": wanted.model,
                "cores": wanted.cores,
                "batch": BATCH,
                "lr": LR,
            },
            {row.name: row.median for row in good},
            {row.name: loop / row.median for row in good if loops},
            compared_round=compared,
            rows=[
                {
                    "name": row.name,
                    "failure": row.seen.failure,
                    "versions": row.versions,
                    "seconds": row.seconds,
                    "accuracy": row.seen.scores,
                    "start_up_seconds": row.seen.start_up(row.warm) if row.seconds else None,
                    "peak_memory_bytes": row.seen.memory or None,
                }
                for row in rows
            ],
        )


if __name__ == "__main__":
    main()
