"""Dice of each class of a pair of volumes, beside MONAI.

MONAI is given both as class numbers, from which it makes masks, and as ready masks.
"""

from functools import partial

import measure
from surface import pair


def ours():
    from medseg_tf import metrics

    truth, prediction = (mask.astype("uint8") for mask in pair())

    def score():
        background, ball = metrics.dice(truth, prediction)
        return {"background": background, "ball": ball}

    return score


def monai(masks):
    import torch
    from monai.metrics import DiceHelper

    helper = DiceHelper(
        include_background=True,
        num_classes=2,
        reduction="none",
        get_not_nans=False,
        apply_argmax=False,
    )
    truth, prediction = (torch.from_numpy(mask)[None, None] for mask in pair())
    if masks:
        truth, prediction = (torch.cat([~mask, mask], 1) for mask in (truth, prediction))
    else:
        truth, prediction = truth.long(), prediction.long()

    def score():
        background, ball = helper(prediction, truth)[0].tolist()
        return {"background": background, "ball": ball}

    return score


ROWS = [
    measure.Row(
        "Dice of two classes, 128 x 128 x 128",
        ours,
        {"MONAI, class numbers": partial(monai, False), "MONAI, masks": partial(monai, True)},
        mark=30,
    )
]

if __name__ == "__main__":
    measure.main(__doc__, ROWS)
