"""Self-training of a segmentation: a network's sure answers become labels of its successor.

    models = self_training(labelled, unlabelled, train, rounds=2)
    train(cases) builds KnownPatches(cases, size, batch, classes=2), fits, and returns the model

What the teacher is wrong about with confidence, the student learns as truth. Sources: Scudder,
IEEE Trans. Information Theory 11:363 (1965); Lee, ICML workshop 2013 (hard pseudo-labels). The
threshold on both classes and the stop at a collapsed teacher are our choice.
"""

from dataclasses import replace

import numpy as np

from medseg_tf.data import Scan
from medseg_tf.data.patches import Patches
from medseg_tf.errors import ConfigError, GeometryError
from medseg_tf.methods.auto_context import probabilities


def self_training(labelled, unlabelled, train, rounds=2, tau=0.9, predict=probabilities):
    """Train a teacher on labelled cases, then students on these and on the last one's answers.

    It stops early where a teacher's answers hold less than half of the labelled cases' share of
    foreground: from those a student would learn that there is nothing to find. Whoever gets fewer
    models than rounds + 1 starts from other first weights, or labels more.

    Args:
        labelled: list of Case.
        unlabelled: list of Case; labels they may have are not looked at.
        train: function from a list of cases to a trained model; fed by `KnownPatches`, since
            pseudo-labels have voxels that are left out.
        rounds: number of students.
        tau: as in `pseudo_label`.
        predict: function of a model and a case to probabilities (*spatial, classes).

    Returns:
        list of models: the teacher, then the students; each started anew by `train`.

    Raises:
        ConfigError: a tau that is not from 0 to below 1.
    """
    models = [train(list(labelled))]
    for _ in range(rounds):
        answers = [pseudo_label(case, predict(models[-1], case), tau) for case in unlabelled]
        classes = labelled[0].classes
        if foreground(answers, classes) < foreground(labelled, classes) / 2:
            break
        models.append(train([*labelled, *answers]))
    return models


def pseudo_label(case, probabilities, tau=0.9):
    """Return the case with a network's answer as its label, and one class more: "not known".

    Args:
        case: Case.
        probabilities: (*spatial, classes).
        tau: a voxel whose largest probability is not above it gets the last class, which
            `KnownPatches` leaves out of the loss.

    Raises:
        GeometryError: probabilities of another shape. ConfigError: an impossible tau.
    """
    probabilities = np.asarray(probabilities)
    classes = probabilities.shape[-1]
    if probabilities.shape[:-1] != case.image.grid.shape:
        raise GeometryError(
            f"pseudo_label: probabilities of shape {probabilities.shape} for an image on "
            f"{case.image.grid.shape}; all axes but the last must agree. Are they another case's?"
        )
    if not 0 <= tau < 1:
        raise ConfigError(f"pseudo_label: tau={tau}; give a probability from 0 to below 1.")
    sure = probabilities.max(-1) > tau
    label = np.where(sure, probabilities.argmax(-1), classes).astype("uint8")
    return replace(case, label=Scan(label, case.image.grid), classes=classes + 1)


class KnownPatches(Patches):
    """Patches in which voxels of the class "not known" weigh nothing: x, y, w.

    Args:
        cases: list of Case with labels 0..classes, where the last one means not known; cases of
            plain labels may be among them.
        classes: keyword, the number that the network tells apart.
        The others are those of data.Patches.
    """

    def __init__(self, cases, *args, classes, **options):
        cases = [replace(case, classes=classes + 1) for case in cases]
        super().__init__(cases, *args, **options)

    def _foreground(self):
        self.classes -= 1  # the last one is not for learning, nor to centre a patch on
        return super()._foreground()

    def __getitem__(self, index):
        x, y, *weights = super().__getitem__(index)
        known = y < self.classes
        return x, np.where(known, y, 0), np.multiply(known, *(weights or [1.0]), dtype="float32")


def foreground(cases, classes):
    """Share of the cases' voxels that are of a foreground class."""
    labels = [case.label.array for case in cases]
    hits = sum(np.sum((label > 0) & (label < classes)) for label in labels)
    return hits / sum(label.size for label in labels)
