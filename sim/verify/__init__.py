"""Correctness certificates: closed forms that every algorithm must reproduce before it may appear in a table."""

from sim.verify.certificates import certificates
from sim.verify.check import Certificate

__all__ = ["Certificate", "certificates"]
