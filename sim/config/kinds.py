"""Checks of values: an interpolation must have the right kind, and an integer must fit 64 bits."""

from collections.abc import Iterator

from omegaconf import Container, DictConfig, ListConfig, Node, OmegaConf

from sim.checks import Refused, brief, within
from sim.config.resolvers import refuse_resolvers

Placed = tuple[str, Container, int | str, Node]  # full key, the container that holds it, its key there, the node


def refuse_kinds(config: DictConfig) -> None:
    """Refuse `${}` with anything but the key of a setting, or with a key of the wrong kind."""
    for path, parent, key, node in nodes(config, ""):
        if OmegaConf.is_interpolation(parent, key):
            refuse_resolvers(str(node._value()), path)
            refuse_interpolation(path, parent, key, node)


def refuse_wide(config: DictConfig) -> None:
    """Refuse integers beyond 64 bits in any setting; settings with a range of their own are checked before."""
    for path, parent, key, _ in nodes(config, ""):
        value = parent[key]
        if isinstance(value, int) and not isinstance(value, bool):
            within(path, value, -(2**63))


def refuse_interpolation(path: str, parent: Container, key: int | str, node: Node) -> None:
    """Refuse `${seed}` in place of a section or of a list; a list may stand for a list of the same kind."""
    said = f"{path}={node._value()}"
    if isinstance(node, DictConfig):
        raise Refused(f"{said}: this is a group of settings, not a value. Set one of them: {path}.NAME=VALUE.")
    meant = parent[key]  # converted and checked, where it is a number or a word
    kind = node._metadata.element_type if isinstance(node, ListConfig) else None
    if isinstance(node, ListConfig) and not (isinstance(meant, ListConfig) and meant._metadata.element_type == kind):
        name = getattr(kind, "__name__", str(kind))
        raise Refused(f"{said} stands for {brief(plain(meant))}: allowed a list of {name}, '{path}=[a, b]'.")


def plain(value: object) -> object:
    """A config as dicts and lists; any other value as it is."""
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


def nodes(parent: DictConfig | ListConfig, at: str) -> Iterator[Placed]:
    """Every node below a container that is none itself, or is an interpolation."""
    if parent._is_none() or parent._is_missing() or parent._is_interpolation():
        return
    for key in list(parent.keys()) if isinstance(parent, DictConfig) else range(len(parent)):
        node = parent._get_node(key)  # type: ignore[arg-type]
        path = f"{at}[{key}]" if isinstance(key, int) else f"{at}.{key!s}" if at else str(key)
        assert isinstance(node, Node)
        if isinstance(node, DictConfig | ListConfig) and not node._is_interpolation():
            yield from nodes(node, path)
        else:
            yield path, parent, key, node  # type: ignore[misc]
