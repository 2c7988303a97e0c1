"""The typed experiment: the schema of a config and the resulting object are the same dataclasses.

Hydra composes, OmegaConf checks types, `__post_init__` checks ranges. Nothing in a config names code: an entry of a
group is looked up in the tables below, and a config that holds `_target_` is refused.
"""

from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from sim.checks import Refused, within
from sim.cohort.table import Source
from sim.config.groups import CHAINS as CHAINS
from sim.config.groups import GROUPS as GROUPS
from sim.config.limits import refuse_endless
from sim.config.plugins import entry_name
from sim.config.results import Results
from sim.engine.executors import Executor
from sim.engine.loops import OwnLoop, Reference
from sim.engine.simulation import Evaluation
from sim.federation.split import Split
from sim.local.optimisers import refuse_optimiser
from sim.local.settings import OptimizerState, Sampling, Training
from sim.methods.aggregators.base import Aggregator
from sim.methods.algorithms.base import Algorithm, Method
from sim.methods.attacks import Attack
from sim.methods.attacks.backdoor import Backdoor
from sim.methods.contract import Weighting
from sim.methods.personal import Personal
from sim.methods.roles import NEUTRAL, Roles, axes_in_use
from sim.methods.roles import named as named_role
from sim.methods.servers import Server
from sim.methods.systems.base import System
from sim.methods.uplink.base import Transform
from sim.metrics import BACKDOOR
from sim.partition.base import Partition
from sim.privacy.settings import Privacy
from sim.shift import Shift
from sim.tasks.nets import Net
from sim.tasks.task import TaskSettings

Json = dict[str, Any]

VOLATILE = (
    "executor",
    "results",
    "scenario",
)  # how a run is computed, and the name of its preset: not part of its identity


@dataclass
class Experiment:
    """The settings of one run: cohort, partition, task, method, and number of rounds."""

    cohort: Source = MISSING
    partition: Partition = MISSING
    task: TaskSettings = MISSING
    net: Net = MISSING
    algorithm: Method = MISSING
    uplink: dict[str, Transform] = field(default_factory=dict)  # in the order of application
    attack: Attack = MISSING
    aggregator: Aggregator = MISSING
    server: Server = MISSING
    personal: Personal = MISSING
    system: System = MISSING
    executor: Executor = MISSING
    shift: Shift = field(default_factory=Shift)
    split: Split = field(default_factory=Split)
    local: Training = field(default_factory=Training)
    privacy: Privacy = field(default_factory=Privacy)
    evaluation: Evaluation = field(default_factory=Evaluation)
    results: Results = field(default_factory=Results)
    scenario: str = ""  # the preset of configs/scenario from which the settings started
    weighting: Weighting = Weighting.patients  # weight of a site in the federation's objective, for every method
    rounds: int = 50  # >= 1
    seed: int = 0  # >= 0; draws patients, splits, starts, batches and participation

    def __post_init__(self) -> None:
        within("rounds", self.rounds, 1)
        within("seed", self.seed, 0)
        refuse_endless(self.rounds, self.local, 1)
        if isinstance(self.algorithm, OwnLoop):
            self.refuse_beside(self.algorithm)
        self.roles.check()
        if self.local.private:
            self.refuse_noise()
        refuse_optimiser(self.roles.algorithm, self.local)
        if self.local.state is OptimizerState.keep and not self.roles.personal.whole_state:
            raise Refused(
                f"local.state=keep: a site keeps one optimiser, but {named_role(self.roles.personal)} trains in two "
                "phases. Set local.state=reset."
            )

    @property
    def roles(self) -> Roles:
        """The axes of the method in the form of the engine."""
        beside = self.axes
        return self.algorithm.roles(beside) if isinstance(self.algorithm, OwnLoop) else beside

    @property
    def axes(self) -> Roles:
        """The axes as set by the user."""
        return Roles(
            algorithm=self.algorithm if isinstance(self.algorithm, Algorithm) else Algorithm(),
            uplink=tuple(self.uplink.values()),
            attack=self.attack,
            aggregator=self.aggregator,
            server=self.server,
            personal=self.personal,
            system=self.system,
            weighting=self.weighting,
        )

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that its run records: those of the task and, under a backdoor, its success."""
        return (*self.task.judged_by, *([BACKDOOR] if isinstance(self.attack, Backdoor) else []))

    def judged_by(self, reference: Reference) -> "Experiment":
        """The reference for this experiment; axes that concern messages are at their defaults."""
        return replace(
            self,
            algorithm=reference,
            uplink={},
            attack=NEUTRAL.attack,
            aggregator=NEUTRAL.aggregator,
            server=NEUTRAL.server,
            personal=NEUTRAL.personal,
            system=NEUTRAL.system,
            local=replace(self.local, noise=0.0, sampling=Sampling.shuffle),  # nothing leaves a site
        )

    def refuse_noise(self) -> None:
        """Refuse noise at the sites if they also send something that the noise does not protect."""
        name, personal = settings(self.algorithm)["is"], settings(self.personal)["is"]
        for wrong, reason, remedy in (
            (
                isinstance(self.algorithm, Reference),
                f"nothing leaves a site under algorithm={name}",
                "Set local.noise=0 and local.sampling=shuffle",
            ),
            (
                isinstance(self.algorithm, OwnLoop),
                f"algorithm={name} asks for losses, which get no noise",
                "Take algorithm=fedavg",
            ),
            (
                type(self.personal).phases is not Personal.phases,
                f"personal={personal} takes more gradients than are counted",
                "Take personal=ditto",
            ),
        ):
            if wrong:
                raise Refused(f"local.noise: {reason}. {remedy}.")

    def refuse_beside(self, method: OwnLoop) -> None:
        """Refuse an axis that a method with its own loop would ignore."""
        lost = [axis for axis in axes_in_use(self.axes) if axis not in method.axes]
        if self.system.holds and "system" in method.axes and method.exchanges:
            lost.append("system=buffered")
        if lost:
            name = settings(method)["is"]
            raise Refused(
                f"algorithm={name} has its own training loop, in which {', '.join(lost)} "
                f"{'has' if len(lost) == 1 else 'have'} no effect. Leave "
                f"{'it' if len(lost) == 1 else 'them'} out, or use another algorithm."
            )
        for link, one in self.uplink.items():
            if one.noises or one.hides:
                raise Refused(
                    f"uplink={link}: sites of algorithm={settings(method)['is']} reveal more than a sum, without "
                    "noise. Use another algorithm, such as fedavg."
                )


_registered: set[tuple[str | None, str, type]] = set()


def register() -> int:
    """Put the schema and the entries of every group where Hydra looks for them, each once; gives how many there are."""
    every = {(group, name, entry) for group, entries in GROUPS.items() for name, entry in entries.items()}
    for group, name, entry in {(None, "experiment", Experiment), *every} - _registered:
        package = f"{group}.{name}" if group in CHAINS else None
        ConfigStore.instance().store(group=group, name=name, node=entry, package=package)
        _registered.add((group, name, entry))
    return len(_registered)


def settings(value: object) -> Any:
    """Plain JSON of a config object; entries of a group have their name under `is`."""
    if is_dataclass(value) and not isinstance(value, type):
        named = entry_name(type(value))
        head: Json = {"is": named} if named else {}
        parts = {entry.name: getattr(value, entry.name) for entry in fields(value)}
        # The order of a chain counts, and JSON objects have none.
        return head | {
            name: [settings(one) for one in part.values()] if name in CHAINS else settings(part)
            for name, part in parts.items()
        }
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): settings(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [settings(part) for part in value]
    return value


def identity(experiment: Experiment) -> Json:
    """The settings that determine the numbers; of a file only its name, because its contents have a fingerprint."""
    whole: Json = {name: part for name, part in settings(experiment).items() if name not in VOLATILE}
    places = experiment.cohort.places
    whole["cohort"] = {
        name: named(part) if name in places else part for name, part in whole["cohort"].items() if name != "dir"
    }
    return whole


def named(place: Any) -> Any:
    """The name of a file, or of every file of a mapping, without its folder."""
    return {key: named(part) for key, part in place.items()} if isinstance(place, dict) else Path(place).name


def classes(value: object) -> set[type]:
    """Classes of a settings object and of all its parts; of an experiment, only those that determine the numbers."""
    if isinstance(value, dict):
        return classes(list(value.values()))
    if isinstance(value, list | tuple):
        return {kind for part in value for kind in classes(part)}
    if not is_dataclass(value) or isinstance(value, type):
        return set()
    left_out = VOLATILE if isinstance(value, Experiment) else ()
    return {type(value)} | classes(
        [getattr(value, entry.name) for entry in fields(value) if entry.name not in left_out]
    )
