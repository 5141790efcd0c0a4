"""Give labels to unlabelled samples round after round, and tell how good they are.

    given, rounds = co_training(features, labels, classifier)
    label_report(given, truth, rounds)          only where somebody knows the truth

Sources: Sun, Tseng, Zhang, Qian, Comput. Med. Imaging Graph. 57:4 (2017) and SPIE 2014, whose
abstracts name the steps: divide the labelled samples, train one classifier each, accept what both
say. Threshold, stopping and the last round are ours. This "dividing" co-training parts samples;
the classic one (Blum, Mitchell, COLT 1998) parts features into two views of each sample.
"""

import itertools

import numpy as np

from medseg_tf.errors import ConfigError
from medseg_tf.table import Table

UNKNOWN = -1  # no label yet
FORCED = -1  # the round of samples that no two classifiers agreed on


def co_training(features, labels, classifier, tau=0.85, least=0.01, seed=0):
    """Label all samples by dividing co-training.

    The labelled samples are dealt to two halves, class by class. Each round trains a classifier on
    each half; a sample that both give one class, each with more than `tau`, is accepted and joins
    the halves in turn. When too few are accepted the rest gets the class of the mean probability.

    Args:
        features: (samples, n); bring them to one scale, or put that into the classifier.
        labels: (samples,), classes from 0 without gaps, -1 for unlabelled samples.
        classifier: of scikit-learn, with predict_proba; cloned, never changed.
        tau: from 0 to 1.
        least: share of the unlabelled samples that a round must accept for another to follow.
        seed: int, of the halves.

    Returns:
        given: (samples,) a class for each, the known ones as they were.
        rounds: (samples,) 0 for known ones, 1, 2, ... for accepted, -1 for forced ones.

    Raises:
        ConfigError: features and labels that do not fit, or a class of fewer than 2 samples.
    """
    from sklearn.base import clone

    features, given = np.asarray(features), np.array(labels)
    check(features, given)
    rounds = np.where(given == UNKNOWN, FORCED, 0)
    enough = max(1, least * np.sum(given == UNKNOWN))
    halves = halve(given, np.random.default_rng(seed))
    for number in itertools.count(1):
        left = np.flatnonzero(rounds == FORCED)
        if not len(left):
            break
        says = [
            clone(classifier).fit(features[half], given[half]).predict_proba(features[left])
            for half in halves
        ]
        classes = agreed(*says, tau)
        accepted = left[classes != UNKNOWN]
        if len(accepted) < enough:
            given[left] = np.argmax(says[0] + says[1], axis=-1)
            break
        given[accepted], rounds[accepted] = classes[classes != UNKNOWN], number
        halves = [np.r_[half, accepted[side::2]] for side, half in enumerate(halves)]
    return given, rounds


def agreed(first, second, tau):
    """Return the class that both name with more than `tau`, -1 where they do not: (samples,).

    first, second: probabilities (samples, classes).
    """
    first, second = np.asarray(first), np.asarray(second)
    classes = first.argmax(-1)
    sure = np.minimum(first.max(-1), second.max(-1)) > tau
    return np.where(sure & (classes == second.argmax(-1)), classes, UNKNOWN)


def label_report(given, truth, rounds):
    """Count right labels round by round: a Table, samples labelled from the start left out.

    Columns: round ("forced" the last), labels given in it, share that is right, share that is
    right so far, and the share of the commonest class, which drifts where one class is easier.

    Args:
        given, truth: (samples,) classes.
        rounds: (samples,) from `co_training`.
    """
    given, truth, rounds = (np.asarray(one) for one in (given, truth, rounds))
    table, so_far = Table(), []
    for number in sorted(set(rounds.tolist()) - {0}, key=lambda n: (n == FORCED, n)):
        own = rounds == number
        so_far += (given == truth)[own].tolist()
        row = {"round": "forced" if number == FORCED else number, "labels": int(own.sum())}
        row |= {"right": float(np.mean((given == truth)[own])), "right so far": np.mean(so_far)}
        table.append(row | {"commonest class": np.bincount(given[own]).max() / own.sum()})
    return table


def halve(labels, rng):
    """Deal the labelled samples of each class to two halves: two arrays of indices."""
    halves = [], []
    for number in range(labels.max() + 1):
        own = rng.permutation(np.flatnonzero(labels == number))
        for side in (0, 1):
            halves[side].extend(own[side::2].tolist())
    return [np.array(half) for half in halves]


def check(features, labels):
    if features.ndim != 2 or labels.shape != (len(features),):
        raise ConfigError(
            f"co_training: features of shape {features.shape}, labels {labels.shape}; give "
            "(samples, n) and (samples,)."
        )
    counts = np.bincount(labels[labels != UNKNOWN], minlength=2)
    if labels.min() < UNKNOWN or counts.min() < 2:
        raise ConfigError(
            f"co_training: {counts.tolist()} labelled samples of classes 0, 1, ...; each half "
            "needs one of each class: label 2 or more. -1 marks samples without a label."
        )
