"""Users' YAML files, whose keys are read as text: `NO`, `on`, `2` and `2020-01-01` too."""

from pathlib import Path
from typing import Any

import yaml
from omegaconf._utils import get_yaml_loader

from sim.checks import Refused

MOST_BYTES = 1_000_000
MOST_NODES = 100_000  # once every alias is written out
TEXT = "tag:yaml.org,2002:str"

Scalars: Any = get_yaml_loader()  # as OmegaConf reads presets: 1e-8 is a number, a date is text, no tag names code


class Words(Scalars):  # type: ignore[misc]
    """The loader of presets, with every key as text; a duplicate key is an error."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge `<<` as YAML does, then read every key as text."""
        written = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        for word in written:
            if written.count(word) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {word!r} stands twice", node.start_mark)
        super().flatten_mapping(node)
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                key.tag = TEXT


def read_yaml(path: Path) -> Any:
    """Content of a YAML file; raises yaml.YAMLError and UnicodeDecodeError, and Refused if it is too large.

    Aliases are counted before they are expanded, because nine lines of them can expand to a billion values.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise Refused(
                f"{path}: {size:,} bytes; allowed {MOST_BYTES:,}. A settings file is small: name data by its path."
            )
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None and written_out(root, {}, set()) > MOST_NODES:
            raise Refused(f"{path}: its aliases expand to more than {MOST_NODES:,} values. Write fewer.")
        return yaml.load(text, Loader=Words)  # Words is a SafeLoader
    except RecursionError:
        raise Refused(f"{path}: brackets or lists are nested too deeply, or an alias refers to itself.") from None
    except OSError as error:
        raise Refused(f"{path}: cannot be read ({error.strerror}).") from None


def written_out(node: yaml.Node, known: dict[int, int], above: set[int]) -> int:
    """Values of a node with all aliases expanded; RecursionError if it contains itself."""
    if id(node) in above:
        raise RecursionError
    if id(node) not in known:
        children = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        inside = children if isinstance(node, yaml.CollectionNode) else []
        known[id(node)] = 1 + sum(written_out(child, known, above | {id(node)}) for child in inside)
    return known[id(node)]
