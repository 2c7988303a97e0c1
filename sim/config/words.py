"""Checks of key=value words before Hydra reads them: size, form, and names of code."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from hydra.core.override_parser.types import Glob, Override

from sim.checks import Refused, brief, one_of
from sim.config.groups import GROUPS
from sim.config.refusals import options
from sim.config.resolvers import refuse_resolvers

MOST_PARTS = 20  # of a key, and of brackets within each other; the deepest key of ours has five
MOST_LETTERS = 200  # of a key
LAUNCHER = "hydra/launcher"
LAUNCHERS = ("fedtrial", "basic")
LAUNCHER_KEYS = ("hydra.launcher.workers", "hydra.launcher.on_error", "hydra.launcher.retries")
MOST_DIGITS = 300  # of a number; the largest double has 309


def refuse_form(word: str) -> None:
    """Refuse code, and anything too long, too deep or too large for a setting."""
    if "_target_" in word:
        raise Refused(
            f"{shortened(word)}: '_target_' is not allowed; a config never names code. "
            "Choose an entry of a group, such as algorithm=fedprox."
        )
    refuse_resolvers(word, shortened(word))
    key, _, value = word.partition("=")
    parts = len(re.split(r"[./]", key))
    if len(key) > MOST_LETTERS or parts > MOST_PARTS:
        raise Refused(
            f"{shortened(word)}: a key of {len(key)} letters and {parts} parts; allowed {MOST_LETTERS} and "
            f"{MOST_PARTS}. Write key=value, such as rounds=5."
        )
    if re.search(rf"\d{{{MOST_DIGITS + 1}}}", value):
        raise Refused(f"{shortened(word)}: a number of more than {MOST_DIGITS} digits; no setting allows this.")
    if depth(value) > MOST_PARTS:
        raise Refused(f"{shortened(word)}: brackets {depth(value)} deep; allowed {MOST_PARTS}.")


def shortened(word: str) -> str:
    """A word for a refusal: complete if it is short, otherwise its beginning."""
    return word if len(word) <= MOST_LETTERS else brief(word)


def depth(value: str) -> int:
    """Depth of nested brackets."""
    deepest = now = 0
    for letter in value:
        now += (letter in "[{(") - (letter in "]})")
        deepest = max(deepest, now)
    return deepest


def refuse_hydra(word: str, key: str) -> None:
    """Refuse a setting of Hydra's own node, where a config can name code (callbacks, launchers, logging, searchpath).

    Only those of LAUNCHER have an effect, and a sweep removes them from its words before this check.
    """
    if re.match(r"/*hydra($|[./@])", key):
        raise Refused(
            f"{shortened(word)}: settings of Hydra's own are not allowed; some of them name code. Records are written "
            "to results.dir=FOLDER; your own presets are read from --config-dir FOLDER. A sweep (`fedtrial run -m`) "
            "takes "
            f"{LAUNCHER}=fedtrial or basic, and {', '.join(LAUNCHER_KEYS)}."
        )


def without_launcher(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words of a sweep that choose and configure its launcher, which must be plain values; and all others."""
    mine = [word for word in words if word.partition("=")[0] in (LAUNCHER, *LAUNCHER_KEYS)]
    for word in mine:
        key, _, value = word.partition("=")
        if key == LAUNCHER:
            one_of(key, value, LAUNCHERS)
        elif not re.fullmatch(r"\w{1,18}", value):
            raise Refused(f"{shortened(word)}: allowed one word or whole number, such as {LAUNCHER_KEYS[0]}=4.")
    if f"{LAUNCHER}=basic" in mine and len(mine) > 1:
        raise Refused(f"{' '.join(mine)}: the basic launcher has no settings. Leave them out, or choose fedtrial.")
    return mine, [word for word in words if word not in mine]


def refuse_twice(words: Sequence[str]) -> None:
    """Refuse a setting that a command line gives twice."""
    first: dict[str, str] = {}
    for word in words:
        key = word.split("=")[0].lstrip("+~")
        if key in first:
            raise Refused(
                f"{shortened(first[key])} and {shortened(word)}: the same setting is given twice. Leave one out."
            )
        first[key] = word


def spelled_out(word: str, parsed: Override) -> str:
    """The word with `glob(fed*)` replaced by the entries of the group that it stands for; any other as it is."""
    value: object = parsed.value()
    if not isinstance(value, Glob):
        return word
    if parsed.key_or_group not in GROUPS:
        raise Refused(f"{word}: glob() selects entries of a group; allowed for {', '.join(GROUPS)}.")
    allowed = options(parsed.key_or_group)
    named = [
        name
        for name in allowed
        if any(fnmatchcase(name, one) for one in value.include)
        and not any(fnmatchcase(name, one) for one in value.exclude)
    ]
    if not named:
        raise Refused(f"{word}: no entry matches; allowed {', '.join(allowed)}.")
    return f"{parsed.key_or_group}={','.join(named)}"
