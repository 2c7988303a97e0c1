"""The model of a run as files: weights as safetensors under the names of the network, and in JSON what else it needs.

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

FORMAT = 1  # of model.json; another number is refused
ABOUT = "model.json"
FILES = {"final": "model.safetensors", "best": "best.safetensors"}


@dataclass(frozen=True)
class Model:
    """A model as it is deployed.

    about    content of model.json
    weights  "final" and, where models are evaluated by loss, "best" -> name in the network -> its parameter, with one
             more leading axis, [J, ...], if each of the J sites in about["model_sites"] has its own model
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


def read(home: Path, which: str) -> tuple[dict[str, Any], Weights]:
    """Content of model.json and the weights of one of the models in a finished run's folder."""
    one_of("--model", which, FILES)
    if not (home / ABOUT).is_file():
        raise Refused(
            f"{home}: this run keeps no model: the oracle has none, trees (histboost, survivalforest) are not written, "
            "sites that mix the predictions of several models (fedem, oneshot with how=ensemble) have no single one, "
            "and a run that diverged has none. Choose another run."
        )
    about = json.loads((home / ABOUT).read_text())
    if about["format"] != FORMAT:
        raise Refused(f"{home / ABOUT}: format {about['format']}, allowed {FORMAT}. Run it again with this fedtrial.")
    if not (home / FILES[which]).is_file():
        there = ", ".join(name for name, file in FILES.items() if (home / file).is_file())
        raise Refused(
            f"--model {which}: run {home.name} has no such model (a best one needs validation rows); allowed {there}."
        )
    return about, load_file(home / FILES[which])
