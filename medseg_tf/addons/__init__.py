"""The names of tensorflow-addons that segmentation courses used, over today's Keras.

tensorflow-addons (TFA) ended with TensorFlow 2.15 and Keras 2. A course written for it changes one
line, `from medseg_tf import addons as tfa`, and goes on: module paths, names, arguments and
defaults are TFA's, and so are the numbers (`tfa.npz` beside this file holds what TFA 0.23.0
returned, and the tests compare). Left out is the argument `name` of functions, which named nodes
of a graph. Every other public name of TFA raises GoneError, which says what to use today.
"""

from . import activations, callbacks, image, layers, losses, metrics, optimizers, rnn, seq2seq, text
from .today import TODAY, GoneError, refuse

__all__ = [
    "TODAY",
    "GoneError",
    "activations",
    "callbacks",
    "image",
    "layers",
    "losses",
    "metrics",
    "optimizers",
    "rnn",
    "seq2seq",
    "text",
]
__getattr__ = refuse("")
