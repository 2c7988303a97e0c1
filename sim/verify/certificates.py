"""The list of certificates: every algorithm and every server optimiser, through the engine, against its theory."""

from collections.abc import Iterator, Mapping

from sim.methods.algorithms import ALGORITHMS
from sim.methods.algorithms.base import Algorithm
from sim.methods.servers import SERVERS, Server
from sim.verify import algorithms as of_algorithms
from sim.verify import servers as of_servers
from sim.verify.check import Certificate, certify


def certificates(
    algorithms: Mapping[str, type[Algorithm]] = ALGORITHMS, servers: Mapping[str, type[Server]] = SERVERS
) -> Iterator[Certificate]:
    """Certificates of every entry of two tables, one by one as they are found; some seconds for all.

    A class that is wrong fails at least one of its own. So does one whose run diverges, raises or is not a number, and
    one that nobody has proved anything about.
    """
    for name, algorithm in algorithms.items():
        checks = of_algorithms.CHECKS[name]() if name in of_algorithms.CHECKS else ()
        yield from certify(name, algorithm, checks, "CHECKS of sim/verify/algorithms.py")
    for name, server in servers.items():
        tests = of_servers.CHECKS[name]() if name in of_servers.CHECKS else ()
        yield from certify(name, server, tests, "CHECKS of sim/verify/servers.py")
