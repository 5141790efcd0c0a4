"""Simulated pictures, exact truth included: NAME(n, seed=0, size=...) -> list of Case.

A phantom never stands in for a real set unasked; whoever uses one says so.
"""

from medseg_tf.data.phantoms.cells import cells
from medseg_tf.data.phantoms.hippocampus import hippocampus
from medseg_tf.data.phantoms.membranes import membranes
from medseg_tf.data.phantoms.rings import rings
from medseg_tf.data.phantoms.skin_lesions import skin_lesions

__all__ = ["cells", "hippocampus", "membranes", "rings", "skin_lesions"]
