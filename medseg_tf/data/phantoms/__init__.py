"""Simulated pictures, exact truth included: NAME(n, seed=0, size=...) -> list of Case.

A phantom never stands in for a real set unasked; whoever uses one says so.
"""

from medseg_tf.data.phantoms.brain import brain, mni_brain
from medseg_tf.data.phantoms.brain_regions import brain_regions
from medseg_tf.data.phantoms.breast_masses import breast_masses
from medseg_tf.data.phantoms.cells import cells
from medseg_tf.data.phantoms.hippocampus import hippocampus
from medseg_tf.data.phantoms.infant_hippocampus import infant_hippocampus
from medseg_tf.data.phantoms.lung_specimen import lung_specimen
from medseg_tf.data.phantoms.mammogram import mammogram
from medseg_tf.data.phantoms.membranes import membranes
from medseg_tf.data.phantoms.ms_lesions import ms_lesions
from medseg_tf.data.phantoms.ringed_discs import ringed_discs
from medseg_tf.data.phantoms.rings import rings
from medseg_tf.data.phantoms.skin_lesions import skin_lesions
from medseg_tf.data.phantoms.ultrasound_cine import ultrasound_cine, ventricle_axes
from medseg_tf.data.phantoms.visual_pathway import visual_pathway

__all__ = [
    "brain",
    "brain_regions",
    "breast_masses",
    "cells",
    "hippocampus",
    "infant_hippocampus",
    "lung_specimen",
    "mammogram",
    "membranes",
    "mni_brain",
    "ms_lesions",
    "ringed_discs",
    "rings",
    "skin_lesions",
    "ultrasound_cine",
    "ventricle_axes",
    "visual_pathway",
]
