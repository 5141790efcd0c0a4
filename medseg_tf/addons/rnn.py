"""TFA's recurrent cells: segmentation needs none; each name says what to use today."""

from .today import refuse

__getattr__ = refuse("rnn")
