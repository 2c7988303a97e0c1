"""Shell completion of key=value words: keys of settings, entries of groups, and possible values."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any

from typer.core import TyperCommand

from sim.checks import Refused


@dataclass(frozen=True)
class Completion:
    """A completion with the attributes that Typer reads; Typer's own class is in a private module."""

    value: str
    type: str = "plain"
    help: None = None


class SettingsCommand(TyperCommand):
    """A command that takes key=value words after its own arguments, and completes them."""

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Completions of the command itself, then those of a word."""
        found: list[Any] = super().shell_complete(ctx, incomplete)
        if incomplete.startswith("-"):
            return found
        with suppress(Refused):  # about another word, which is reported when the command runs
            folder = ctx.find_root().params.get("config_dir")
            if folder:
                from sim.config.presets import add_presets

                add_presets(folder.expanduser())
            found += [Completion(word) for word in words(ctx.args, incomplete)]
        return found


def words(before: Sequence[str], incomplete: str) -> list[str]:
    """Possible completions of a word, after the words `before` it.

    bash treats `=` as a separate word and replaces what follows it; other shells replace the whole word.
    """
    key, equals, begun = incomplete.lstrip("+").partition("=")
    if equals:
        return [f"{key}={value}" for value in values(before, key) if value.startswith(begun)]
    split = [*before[-2:], incomplete]
    if split[-2:-1] == ["="]:
        return [value for value in values(before[:-2], split[0]) if value.startswith(incomplete)]
    if not incomplete and before and "=" not in before[-1]:
        return values(before[:-1], before[-1])
    keys = [name for name in settings(before) if name.startswith(key)]
    if len(keys) == 1:  # with its values, so that the shell adds no space after the sign
        return [f"{keys[0]}=", *(f"{keys[0]}={value}" for value in values(before, keys[0]))]
    return [f"{name}=" for name in keys]


def chosen(before: Sequence[str]) -> tuple[str, ...]:
    """The words that choose entries of groups, joined where the shell split them."""
    from sim.config.groups import GROUPS

    joined = "\n".join(before).replace("\n=\n", "=").split("\n")
    return tuple(word for word in joined if word.partition("=")[0] in GROUPS and word.partition("=")[2])


def settings(before: Sequence[str]) -> dict[str, object]:
    """Every key of the config under the chosen entries, and its value; groups first."""
    from omegaconf import OmegaConf

    from sim.config.compose import entries
    from sim.config.groups import GROUPS

    config = OmegaConf.to_container(entries(chosen(before)), resolve=False, enum_to_str=False)
    return dict.fromkeys(GROUPS, None) | dict(leaves(config, ""))


def leaves(node: object, at: str) -> Iterator[tuple[str, object]]:
    """Full keys of single values and lists, with the value."""
    if isinstance(node, dict) and (node or not at):
        for name, child in node.items():
            yield from leaves(child, f"{at}.{name}" if at else str(name))
    else:
        yield at, node


def values(before: Sequence[str], key: str) -> list[str]:
    """Values that a key can have: entries of a group, words of a choice, else its default."""
    from sim.config.groups import GROUPS
    from sim.config.refusals import options

    if key in GROUPS:
        return options(key)
    value = settings(before).get(key)
    if isinstance(value, bool):
        return ["true", "false"]
    if isinstance(value, Enum):
        return [one.name for one in type(value)]
    return [f"{value}"] if isinstance(value, int | float) else []
