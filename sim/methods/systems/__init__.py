"""Systems by the name they have in a config."""

from sim.methods.systems.base import System
from sim.methods.systems.buffered import Buffered
from sim.methods.systems.cyclic import Cyclic
from sim.methods.systems.powerofchoice import PowerOfChoice
from sim.methods.systems.sync import Sync

SYSTEMS: dict[str, type[System]] = {
    "sync": Sync,
    "buffered": Buffered,
    "cyclic": Cyclic,
    "powerofchoice": PowerOfChoice,
}
