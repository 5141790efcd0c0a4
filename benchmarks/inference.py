"""Class probabilities of a batch by the same network, beside PyTorch and MONAI.

From an array of images to an array of probabilities. Each framework computes in bfloat16 where
the processor has it. PyTorch runs channels last, as it comes and compiled, pictures with
frozen weights.
"""

from functools import partial

import measure
from nets import NETS, weights


def ours(net):
    model, (x, _) = net.ours(), net.batch()
    counted = weights(model)

    def infer():
        model.predict_on_batch(x)
        return counted

    return infer


def pytorch(net, compiled=False, monai=False):
    import torch
    import torch_nets

    # With frozen weights the compiler folds the normalisation away; of volumes in bfloat16 that lie
    # channels last it then mistakes the strides, and stops.
    torch._inductor.config.freezing = net.rank == 2
    images = net.batch()[0]
    model = torch_nets.dyn_unet(net.rank, 4, **net.options) if monai else net.peer()
    model = torch_nets.fast(model).eval()
    counted = torch_nets.weights(model)
    counted = {"kernels": counted["kernels"]} if monai else counted  # MONAI's have no bias
    forward = torch.compile(model) if compiled else model

    def infer():
        with torch.no_grad(), torch_nets.precision():
            logits = forward(torch_nets.tensor(images))
        logits.float().softmax(1).movedim(1, -1).numpy()
        return counted

    return infer


SAME = (
    "both frameworks spend most of a pass in the convolutions of the same library, oneDNN; into "
    "them PyTorch's compiler folds the normalisation, which here would gain about a tenth and take "
    "a copy of each network"
)


def row(name, net):
    peers = {"PyTorch": partial(pytorch, net), "PyTorch, compiled": partial(pytorch, net, True)}
    if net.builder == "unet":
        peers["MONAI's DynUNet"] = partial(pytorch, net, monai=True)
    work = f"inference, {name}, {net.words()}"
    return measure.Row(work, partial(ours, net), peers, mark=1.2, reason=SAME)


ROWS = [row(name, net) for name, net in NETS.items()]

if __name__ == "__main__":
    measure.main(__doc__, ROWS)
