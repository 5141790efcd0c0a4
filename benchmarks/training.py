"""One training step of the same network, beside PyTorch and MONAI.

Batch normalisation, cross-entropy, Adam, images and labels in memory. Each framework computes in
bfloat16 where the processor has it. PyTorch runs channels last, as it comes and compiled.
"""

from functools import partial

import measure
from nets import NETS, weights


def ours(net):
    import keras

    from medseg_tf import losses
    from medseg_tf.training import fitting

    model, (x, y) = net.ours(), net.batch()
    fitting.prepare(model, keras.optimizers.Adam(1e-3), losses.WeightedCrossEntropy())
    counted = weights(model)

    def step():
        model.train_on_batch(x, y)
        return counted

    return step


def pytorch(net, compiled=False, monai=False):
    import torch
    import torch_nets

    images, labels = net.batch()
    x, y = torch_nets.tensor(images), torch.from_numpy(labels).long()
    model = torch_nets.dyn_unet(net.rank, 4, **net.options) if monai else net.peer()
    model = torch_nets.fast(model).train()
    counted = torch_nets.weights(model)
    counted = {"kernels": counted["kernels"]} if monai else counted  # MONAI's have no bias
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    forward = torch.compile(model) if compiled else model

    def step():
        optimizer.zero_grad()
        with torch_nets.precision():
            logits = forward(x)
        loss = torch.nn.functional.cross_entropy(logits.float(), y)
        loss.backward()
        optimizer.step()
        loss.item()
        return counted

    return step


SAME = "both frameworks spend most of a step in the convolutions of the same library, oneDNN"


def row(name, net):
    peers = {"PyTorch": partial(pytorch, net), "PyTorch, compiled": partial(pytorch, net, True)}
    if net.builder == "unet":
        peers["MONAI's DynUNet"] = partial(pytorch, net, monai=True)
    work = f"training step, {name}, {net.words()}"
    return measure.Row(work, partial(ours, net), peers, mark=1.15, reason=SAME)


ROWS = [row(name, net) for name, net in NETS.items()]

if __name__ == "__main__":
    measure.main(__doc__, ROWS)
