"""Which transforms may follow each other."""

from collections.abc import Sequence

from sim.checks import Refused
from sim.methods.uplink.base import VALUES, Transform


def refuse_order(uplink: Sequence[Transform]) -> None:
    """Refuse a transform that cannot read what those before it made of the vector."""
    form = VALUES
    for at, one in enumerate(uplink):
        if form not in one.takes:
            before = ", ".join(type(other).__name__.lower() for other in uplink[:at])
            raise Refused(
                f"uplink: {type(one).__name__.lower()} takes a vector that is {' or '.join(one.takes)}, and after "
                f"{before} it is {form}. Leave one of them out, or turn them round."
            )
        form = one.gives or form
