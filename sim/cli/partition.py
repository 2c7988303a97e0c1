"""`fedtrial partition`: which site holds which patients, on the terminal and as a figure."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sim.analyses.run import check_figure_path
from sim.cli.printed_tables import printed, printed_sites
from sim.config.compose import experiment
from sim.config.words import refuse_twice
from sim.files import make_folder
from sim.partition.affinity import Affinity
from sim.partition.affinity_settings import AffinityColumns
from sim.partition.base import digest
from sim.partition.case_mix import column_skews
from sim.partition.describe import describe, skew
from sim.report.partition_figure import partition_figure
from sim.report.style import save_figure
from sim.run.prepare import gather
from sim.shift.summary import changed_columns


def describe_partition(console: Console, overrides: Sequence[str], figure: Path | None) -> None:
    """Print sites, skew of every column against chance and fingerprint; write the figure (None: in results.dir)."""
    check_figure_path(figure)
    refuse_twice(overrides)
    wanted = experiment(overrides)
    dealt, sides = gather(wanted)
    before_shift, cohort, outcome, sites, external, _ = dealt
    frame = describe(cohort, outcome, sites)
    kind = type(wanted.partition).__name__
    console.print(printed_sites(frame, f"{kind} partition of {cohort.name}, outcome {outcome}"))
    if external:
        console.print(f"External sites, excluded from training: {', '.join(external)}.", markup=False)
    if wanted.partition.overlap:
        console.print(sides.leak.in_words())
    overall, none = skew(frame), f"{(frame['events'] == 0).sum()} without an event"
    if "classes" in frame:
        none = f"{(frame['classes'] == 1).sum()} with one class alone"
    console.print(
        f"{len(frame)} sites of {frame['rows'].min()} to {frame['rows'].max()} rows, {overall.effective_sites:.1f} "
        f"effective; {none}. "
        f"Outcome skew: total variation {overall.total_variation:.3f}, "
        f"Jensen-Shannon {overall.jensen_shannon:.4f} bit."
    )
    title = "Skew by column; by_chance: the same sites with patients assigned at random"
    console.print(printed(column_skews(cohort, outcome, sites), title))
    if cohort is not before_shift:
        title = "Shift: share of rows changed, in all and over sites"
        console.print(printed(changed_columns(before_shift, cohort, sites), title))
        if "faults" in cohort.notes:
            console.print(f"Faults: {cohort.notes['faults']}.", markup=False)
    fingerprint = digest(cohort, sites)
    console.print(f"Partition: {fingerprint}")
    path = figure or Path(wanted.results.dir) / f"partition-{fingerprint[:12]}.svg"
    make_folder(path.parent)
    columns = wanted.partition.columns if isinstance(wanted.partition, Affinity) else AffinityColumns()
    save_figure(partition_figure(cohort, outcome, sites, frame, columns.demographic), path)
    console.print(f"Figure: {path}", soft_wrap=True)
