"""The one type of array that the statistics side passes around."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
