"""Check of `${}`: it may name another setting, and may not read the environment or the clock."""

import re

from sim.checks import Refused, brief

OTHER = re.compile(r"\$\{(?![\w.\[\]-]+\})[^}]*\}?")  # `${` that does not name a setting, such as ${oc.env:HOME}


def refuse_resolvers(text: str, where: str) -> None:
    """Refuse `${oc.env:HOME}` and anything in `${}` except the key of a setting.

    A run must be defined by its settings, and a value from the environment may be a password.
    """
    found = OTHER.search(text)
    if found:
        raise Refused(
            f"{where}: {brief(found[0])[1:-1]} is not allowed. ${{}} may only hold the key of another setting, such "
            'as ${seed}; let the shell insert environment variables: key="$NAME".'
        )
