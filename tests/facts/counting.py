"""Build networks that are only counted and measured."""

import keras


def build(builder, *args, **kwargs):
    """Build a network of which only shapes exist: its 540 MB of weights are never allocated."""
    try:
        with keras.StatelessScope(initialize_variables=False):
            return builder(*args, **kwargs)
    finally:
        keras.utils.clear_session()  # forgets that these weights still wait for their numbers
