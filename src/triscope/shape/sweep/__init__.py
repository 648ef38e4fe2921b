"""One pass over the planes: warp, variance, recurrent regularisation, running soft-max.

Memory does not grow with the number of planes. Three forms compute the same: ``native`` (C++, built
at first use), ``torch`` and ``numpy`` (the slow reference, also the last resort).
"""

from triscope.shape.sweep.answer import Swept
from triscope.shape.sweep.run import sweep

__all__ = ["Swept", "sweep"]
