"""The model of a run as files: safetensors, under the names of the network or of trees, and in JSON what else it needs.

`model.safetensors` is the model of the last round, `best.safetensors` that of the scored round with the lowest
validation loss, `model.json` describes how recorded columns become the network's inputs. The files are written and read
here; `sim.run` fills in and applies the content.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from sim.checks import Refused, one_of

Weights = Mapping[str, NDArray[np.floating]]

FORMAT = 2  # of model.json; 1, which had neither trees nor mixtures, is read too, and another number is refused
ABOUT = "model.json"
FILES = {"final": "model.safetensors", "best": "best.safetensors"}
MIXTURE = "mixture weights"  # name of what several models' predictions are mixed by, beside those of the network
NEW = {"unseen": "", "trees": None}  # what format 1 does not say

ORACLE = (
    "the oracle scores patients by the risk that their generator drew them with, which it knows of its own patients "
    "alone. For predictions on new rows take a method that learns, such as algorithm=pooled"
)


@dataclass(frozen=True)
class Model:
    """A model as it is deployed.

    about    content of model.json
    weights  "final" and, where models are scored by loss, "best" -> name in the network -> its parameter. Each has one
             more axis in front, [J, ...], where each of the J sites in about["model_sites"] has a model of its own, and
             with about["unseen"] one more row, the last, for a site that never trained. With MIXTURE, that axis is
             of models whose predictions all sites mix: by its one row, or each site by its own and others by the last.
             With about["trees"], the settings of a method, these are the arrays of its trees
    """

    about: dict[str, Any]
    weights: Mapping[str, Weights] = field(repr=False)


def write(model: Model, folder: Path) -> list[str]:
    """Names of the files that were written into the folder."""
    (folder / ABOUT).write_text(json.dumps({"format": FORMAT} | model.about, indent=1, sort_keys=True) + "\n")
    for which, weights in model.weights.items():
        arrays = {name: np.ascontiguousarray(array) for name, array in weights.items()}
        # Not `save_file`, which takes away the permission to read from everyone else.
        (folder / FILES[which]).write_bytes(save(arrays, metadata={"run": str(model.about["run"])}))
    return [ABOUT, *(FILES[which] for which in model.weights)]


def read_about(home: Path) -> dict[str, Any]:
    """Content of model.json in a finished run's folder."""
    if not (home / ABOUT).is_file():
        raise Refused(f"{home}: this run keeps no model: {why_none(json.loads((home / 'run.json').read_text()))}.")
    about: dict[str, Any] = NEW | json.loads((home / ABOUT).read_text())
    if about["format"] not in (1, FORMAT):
        raise Refused(f"{home / ABOUT}: format {about['format']}, allowed {FORMAT}. Run it again with this fedtrial.")
    return about


def read(home: Path, which: str) -> tuple[dict[str, Any], Weights]:
    """Content of model.json and the weights of one of the models in a finished run's folder."""
    one_of("--model", which, FILES)
    about = read_about(home)
    if not (home / FILES[which]).is_file():
        there = ", ".join(name for name, file in FILES.items() if (home / file).is_file())
        raise Refused(
            f"--model {which}: run {home.name} has no such model (a best one needs validation rows and a loss, which "
            f"survivalforest does not have); allowed {there}."
        )
    return about, load_file(home / FILES[which])


def why_none(info: Mapping[str, Any]) -> str:
    """Why a run has no model, from its run.json, and what to take in its place."""
    if info["status"] != "done":
        return f"it {str(info['status']).rstrip('.')}"
    if info["settings"]["algorithm"]["is"] == "oracle":
        return ORACLE
    return "it was written by a fedtrial that kept none of its method. Run it again with this one"
