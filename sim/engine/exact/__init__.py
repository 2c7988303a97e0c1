"""Analyses from sums: entries of the `algorithm` config group."""

from sim.engine.exact.base import Exact
from sim.engine.exact.cox import CoxWebDISCO
from sim.engine.exact.iptw import CoxIPTW
from sim.engine.exact.lasso import LassoPath
from sim.engine.exact.newton import Newton
from sim.engine.exact.one_shot import ODAC, ODACH, ODAL, Meta

EXACT: dict[str, type[Exact]] = {
    "newton": Newton,
    "cox_webdisco": CoxWebDISCO,
    "cox_iptw": CoxIPTW,
    "meta": Meta,
    "odal": ODAL,
    "odac": ODAC,
    "odach": ODACH,
    "lasso": LassoPath,
}
