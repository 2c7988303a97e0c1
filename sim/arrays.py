"""Names for the types of numpy arrays in signatures; docstrings give the shapes."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Reals = NDArray[np.floating]  # in the precision of the model
Ints = NDArray[np.int64]  # counts, codes and row numbers
Bools = NDArray[np.bool_]
Words = NDArray[np.uint64]  # 64-bit hashes and random words
Names = NDArray[np.str_]  # of sites, often one per row
