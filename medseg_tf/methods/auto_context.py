"""Auto-context: a second network reads the image and what a first one said of it.

    firsts, maps = cross_fit(cases, train, folds=2)      train(cases) -> model
    second = train([add_maps(case, own) for case, own in zip(cases, maps)])
    inference.segment(second, add_maps(new, mean_maps(firsts, new)))

The maps that the second network learns from come from networks that never saw the subject
(cross-fitting). A network's maps of its own training cases are better than any it will make of a
new scan: whoever learns from those learns to trust maps that do not exist, and every score
computed on them is too good.

Source: Tu, CVPR 2008 (auto-context, there with the training cases' own maps); Chen, Dou, Yu, Heng,
arXiv:1608.05895, 2016 (the second network reads images and maps). The folds are our choice.
"""

from dataclasses import replace

import numpy as np

from medseg_tf.data import Scan, split_by_subject
from medseg_tf.errors import ConfigError, GeometryError


def probabilities(model, case):
    """As inference.probabilities, which needs a framework that the other methods do without."""
    from medseg_tf import inference

    return inference.probabilities(model, case)


def cross_fit(cases, fit, folds=2, predict=probabilities, seed=0):
    """Train one network a fold of the subjects, and map each case by the one that never saw it.

    Args:
        cases: list of Case with labels.
        fit: function from a list of cases, in their order, to a trained model. Whatever else is
            learned from cases (class weights, when to stop) must be learned inside it.
        folds: parts that the subjects are dealt to, by `seed`; as many networks, each trained
            without one part. As many as subjects is leave-one-out.
        predict: function of a model and a case to its maps; inference.probabilities if left out.
        seed: int.

    Returns:
        The models, and a list of maps (*spatial, classes), in the order of `cases`.

    Raises:
        ConfigError: fewer than 2 folds, or fewer subjects than folds.
    """
    if folds < 2:
        raise ConfigError(
            f"cross_fit: folds={folds}; each network must leave a part of the subjects out: 2 or "
            "more."
        )
    parts = split_by_subject(cases, (1 / folds,) * folds, seed)
    fold = {case.subject: number for number, part in enumerate(parts) for case in part}
    models = [
        fit([case for case in cases if fold[case.subject] != number]) for number in range(folds)
    ]
    return models, [predict(models[fold[case.subject]], case) for case in cases]


def mean_maps(models, case, predict=probabilities):
    """Return the mean of several networks' maps of a case that none of them saw: float32.

    Args:
        models: those of `cross_fit`.
        case: Case, or Scan of an image.
        predict: as in `cross_fit`.
    """
    total = sum(np.asarray(predict(model, case), "float32") for model in models)
    return total / np.float32(len(models))


def add_maps(case, maps):
    """Return the case with maps as further channels of its image, float32.

    Patches and `inference` normalise channel by channel, the maps too: both in one way.

    Args:
        case: Case.
        maps: (*spatial, classes) on the case's grid, after softmax: the scale of logits differs
            from network to network.

    Raises:
        GeometryError: maps of another shape.
    """
    image, maps = case.image.array, np.asarray(maps)
    if maps.shape[:-1] != image.shape[:-1]:
        raise GeometryError(
            f"add_maps: maps of shape {maps.shape} for an image of shape {image.shape}; all axes "
            "but the last must agree. Are they another case's?"
        )
    both = np.concatenate([image.astype("float32"), maps.astype("float32")], axis=-1)
    return replace(case, image=Scan(both, case.image.grid, case.image.header))
