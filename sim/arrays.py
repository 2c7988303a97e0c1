"""Names for the kinds of numpy arrays that signatures use; the shape stands in the docstring of the function."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Reals = NDArray[np.floating]  # in the precision of the model
Ints = NDArray[np.int64]  # counts, codes and row numbers
Bools = NDArray[np.bool_]
Words = NDArray[np.uint64]  # 64-bit hashes and random words
Names = NDArray[np.str_]  # of sites, often one per row
