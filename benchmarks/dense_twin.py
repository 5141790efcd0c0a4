"""One pass of the dense twin beside windows, on 256 x 256 pixels with lesson 01's network.

Windows come in several batches, of which the fastest counts. "work" is the ratio of multiply-adds.
"""

from functools import partial

import measure

SIDE, WINDOW = 256, 31


def network():
    from medseg_tf import models

    return models.sliding_window((WINDOW, WINDOW, 1), maps=(16, 16), kernels=(4, 3), dense=(32,))


def ready():
    """The network with the same weights in each process, and the picture."""
    import keras

    from medseg_tf import data

    keras.utils.set_random_seed(0)
    return network(), data.phantoms.membranes(1, size=SIDE)[0]


def ours():
    from medseg_tf import inference, models

    net, case = ready()
    twin = models.dense_twin(net)
    work = SIDE**2 * models.macs(net) / models.macs(twin, (SIDE + WINDOW - 1,) * 2)
    return lambda: {"mean": mean(inference.probabilities(twin, case)), "work": work}


def windows(batch):
    from medseg_tf import inference

    net, case = ready()
    return lambda: {"mean": mean(inference.by_windows(net, case, batch))}


def mean(probabilities):
    return float(probabilities[..., 1].mean())


ROWS = [
    measure.Row(
        f"every pixel of {SIDE} x {SIDE}, dense twin beside windows",
        ours,
        {f"{batch} windows at once": partial(windows, batch) for batch in (256, 1024, 4096)},
        mark=40,
        python=measure.HERE,
        tolerance=1e-4,
        rounds=5,
    )
]

if __name__ == "__main__":
    measure.main(__doc__, ROWS)
