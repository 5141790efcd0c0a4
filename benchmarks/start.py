"""From nothing to the first training step of the 2-D U-Net, beside PyTorch, each in a new process.

The first row counts the import and the build of the network, the second what comes after: the
optimizer's variables and one step.
"""

import subprocess
import sys
from functools import partial
from time import perf_counter

import measure
from nets import NETS

NET = NETS["U-Net 2-D"]


def ours():
    """Build and train one step as a user does; return seconds of both."""
    start = perf_counter()
    import keras

    from medseg_tf import losses
    from medseg_tf.training import fitting

    model, built = NET.ours(), perf_counter()
    fitting.prepare(model, keras.optimizers.Adam(1e-3), losses.WeightedCrossEntropy())
    x, y = NET.batch()
    model.train_on_batch(x, y)
    return built - start, perf_counter() - built


def pytorch():
    start = perf_counter()
    import torch
    import torch_nets

    model, built = torch_nets.fast(NET.peer()), perf_counter()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    x, y = NET.batch()
    with torch_nets.precision():
        logits = model(torch_nets.tensor(x))
    loss = torch.nn.functional.cross_entropy(logits.float(), torch.from_numpy(y).long())
    loss.backward()
    optimizer.step()
    return built - start, perf_counter() - built


def anew(side, part):
    """A side whose every round is a process of its own, of which one part's time counts."""
    command = [sys.executable, __file__, side]

    def run():
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return {"seconds": float(told.split()[-2:][part])}

    return run


def row(work, part, **asked):
    peers = {"PyTorch": partial(anew, "pytorch", part)}
    return measure.Row(work, partial(anew, "ours", part), peers, rounds=5, **asked)


ROWS = [
    row(
        "importing, and building the 2-D U-Net",
        0,
        reason="TensorFlow and Keras take longer to import than PyTorch",
    ),
    row(
        "its first training step",
        1,
        limit=2.0,
        reason="TensorFlow traces the step and optimises its graph first; PyTorch has no graph",
    ),
]

if __name__ == "__main__":
    if sys.argv[1:] in (["ours"], ["pytorch"]):
        print(*{"ours": ours, "pytorch": pytorch}[sys.argv[1]]())
    else:
        measure.main(__doc__, ROWS)
