"""What is measured of a star: the columns of a row of numbers, and why there may be none.

In: nothing. Out: names.
"""

from __future__ import annotations

# columns of a row of results
X, Y, FLUX, SKY, VAR_X, VAR_Y, COV_XY, VAR_FLUX, FWHM_X, FWHM_Y = range(10)
CHI2, PEAK, HFD, CLIPPED, NOISE, STATUS, DEFECTS = range(10, 17)
SIGNAL = 17  # what `locate` saw: significance of the 3 x 3 px but for the brightest, in their noise
COLUMNS = 18

# values of STATUS
OK, NEAR_EDGE, NO_STAR, MOVED, BAD_PIXELS, SATURATED = range(6)
