"""Whether the package `sim` that Python finds is fedtrial's, and not a file or folder of that name."""

import sys
from importlib.util import find_spec
from pathlib import Path

OURS = Path(__file__).resolve().parents[1] / "sim" / "__init__.py"


def wrong_sim() -> str:
    """What is wrong, where, and what to do; empty if `sim` is fedtrial's own."""
    found = place()
    if found is None:
        return f"fedtrial needs its package `sim` at {OURS.parent}, and it is not there. Reinstall fedtrial."
    if found.resolve() != OURS:
        return (
            f"{found}: Python finds this as `sim` before fedtrial's own package of that name, {OURS.parent}. Rename or "
            f"uninstall it, or keep {home(found)} out of PYTHONPATH and start Python somewhere else."
        )
    if "fedtrial" not in OURS.read_text(encoding="utf-8"):
        return f"{OURS}: another distribution put its own `sim` over this one. Uninstall it, then reinstall fedtrial."
    return ""


def place() -> Path | None:
    """File of the `sim` that is imported already, or would be."""
    if "sim" in sys.modules:
        file = getattr(sys.modules["sim"], "__file__", None)
    else:
        spec = find_spec("sim")
        file = spec.origin if spec else None
    return Path(file) if file else None


def home(found: Path) -> Path:
    """The folder that Python searched: that of sim.py, or the one above sim/__init__.py."""
    return found.parents[1] if found.name == "__init__.py" else found.parent
