"""Imported before numpy by benches that claim one thread: sets what numeric libraries read once, when they load.

Threads that a codec is asked for by an argument are not concerned: those are counted in its row.
"""

import os
import sys

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "BLOSC_NTHREADS")

if "numpy" in sys.modules:
    raise ImportError("one_thread must be imported before numpy, which has read these variables by now")
os.environ.update(dict.fromkeys(VARIABLES, "1"))
