"""JULE: clusters teach a network features, features make better clusters, in turns.

Source: Yang, Parikh, Batra, CVPR 2016 (arXiv:1604.03628); where the paper is silent, its authors'
released code. Affinities are those of Zhang et al., ECCV 2012 (graph degree linkage). Ours are:
a batch's triplets are all of them, not 20 drawn for each pair, and the rule `absorb`.
"""

import math

import keras
import numpy as np
from keras import ops
from scipy import sparse

from medseg_tf.errors import ConfigError
from medseg_tf.progress import progress

NEAR_THE_END = 4  # times the clusters asked for: from there on small clusters are absorbed


def affinity(features, neighbours=20, scale=1.0):
    """Return the directed graph of nearest neighbours: W, sparse (samples, samples).

        W_ij = exp(-|x_i - x_j|^2 / s2) if x_j is among the nearest of x_i, else 0

    features: (samples, n). neighbours: of each sample. scale: s2 in mean squared distances.
    """
    from sklearn.neighbors import NearestNeighbors

    features = np.asarray(features, float).reshape(len(features), -1)
    neighbours = min(neighbours, len(features) - 1)
    distance, which = NearestNeighbors(n_neighbors=neighbours).fit(features).kneighbors()
    spread = scale * (distance**2).mean() or 1.0  # all samples alike: every edge weighs 1
    row = np.repeat(np.arange(len(features)), neighbours)
    weights = np.exp(-(distance**2) / spread).ravel()
    return sparse.csr_array((weights, (row, which.ravel())), (len(features),) * 2)


def cluster_affinity(weights, labels):
    """Return the affinity of each pair of clusters: (clusters, clusters), symmetric, 0 to itself.

    A(i, j) is the sum over the samples of j of their mean in-degree from i times their mean
    out-degree to i, and the same with i and j exchanged: edges one way alone count nothing.

    weights: from `affinity`. labels: (samples,), 0..clusters - 1, none empty.
    """
    member = members(labels)
    return from_degrees((weights.T @ member).toarray(), (weights @ member).toarray(), member)


def members(labels):
    """Which sample is in which cluster: sparse (samples, clusters) of ones."""
    rows = np.arange(len(labels))
    return sparse.csr_array((np.ones(len(labels)), (rows, labels)))


def from_degrees(arriving, leaving, member):
    """The affinities, of each sample's degrees from and to each cluster, (samples, clusters)."""
    half = member.T @ (arriving * leaving) / member.sum(0) ** 2
    both = half + half.T
    np.fill_diagonal(both, 0)
    return both


def merge_schedule(samples, clusters, merge=0.9):
    """Return the numbers of clusters period by period, from `samples` initial ones to `clusters`.

    merge: share of the clusters that are merged away in a period.
    """
    counts = [samples]
    while counts[-1] > clusters:
        away = math.ceil(merge * counts[-1] - 1e-9)  # a float just above a whole number is it
        counts.append(max(clusters, counts[-1] - away))
    return counts


def merge_loss(affinities, rivals=5, rivalry=1.0):
    """Return what it costs to merge each cluster with its nearest: (clusters,).

        -A(i, 1) - rivalry / (rivals - 1) * sum over k = 2..rivals of (A(i, 1) - A(i, k))

    with A(i, k) the k-th largest affinity: near pairs that stand apart from others come first.

    affinities: (clusters, others). Source: Yang et al., equation 10, as the code has it.
    """
    ranked = -np.sort(-np.asarray(affinities), axis=1)[:, :rivals]
    gap = (ranked[:, :1] - ranked[:, 1:]).sum(1) / max(ranked.shape[1] - 1, 1)
    return -ranked[:, 0] - rivalry * gap


def agglomerate(features, labels, clusters, neighbours=20, rivals=5, rivalry=1.0, absorb=0.25):
    """Merge clusters of samples, one pair at a time, until `clusters` are left: labels (samples,).

    A single sample without affinity to any cluster joins the one of nearest mean; so does, when few
    are left, a cluster smaller than `absorb` of the mean size, lest outliers use the clusters up,
    and the smallest one where no two clusters have an affinity.

    features: (samples, n). labels: (samples,), clusters to begin with. rivals, rivalry: as in
    `merge_loss`. absorb: 0 leaves small clusters to the affinities.
    """
    features = np.asarray(features, float).reshape(len(features), -1)
    labels = np.unique(labels, return_inverse=True)[1]
    weights, member = affinity(features, neighbours), members(labels)
    arriving, leaving = (weights.T @ member).toarray(), (weights @ member).toarray()
    while (count := labels.max() + 1) > clusters:
        member = members(labels)
        near, sizes = from_degrees(arriving, leaving, member), member.sum(0)
        odd = (near.max(1) <= 0) & ((sizes == 1) | (near.max() <= 0))
        if count <= NEAR_THE_END * clusters:
            odd |= sizes < absorb * sizes.mean()
        if odd.any():
            one = np.where(odd, sizes, np.inf).argmin()
            means = member.T @ features / sizes[:, None]
            apart = ((means - means[one]) ** 2).sum(1)
            apart[one] = np.inf
            other = apart.argmin()
        else:
            off = near[~np.eye(count, dtype=bool)].reshape(count, count - 1)
            one = merge_loss(off, rivals, rivalry).argmin()
            other = near[one].argmax()
        keep, gone = sorted((one, other))
        for degrees in (arriving, leaving):
            degrees[:, keep] += degrees[:, gone]
        arriving, leaving = np.delete(arriving, gone, 1), np.delete(leaving, gone, 1)
        labels = np.where(labels == gone, keep, labels)
        labels = labels - (labels > gone)
    return labels


def first_clusters(samples):
    """Link each sample to its nearest neighbour, all pixels divided by their length: labels."""
    rows = np.asarray(samples, float).reshape(len(samples), -1)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return sparse.csgraph.connected_components(affinity(rows, 1), directed=False)[1]


def triplet(near, far, margin=0.2, pull=2.0):
    """max(0, pull * near - far + margin), of squared distances; tensors of one shape."""
    return ops.maximum(pull * near - far + margin, 0)


def triplet_loss(labels, features, margin=0.2, pull=2.0):
    """Return the mean of `triplet` over all triplets of a batch; 0 where there are none.

    labels: (batch,), clusters. features: (batch, n). A triplet is two samples of one cluster and
    one of another.
    """
    labels = ops.reshape(labels, (-1,))
    gaps = ops.sum((features[:, None] - features[None]) ** 2, axis=-1)
    same = ops.cast(labels[:, None] == labels[None], gaps.dtype)
    valid = (same - ops.eye(ops.shape(labels)[0], dtype=gaps.dtype))[:, :, None]
    valid = valid * (1 - same)[:, None, :]  # (anchor, its like, another)
    losses = triplet(gaps[:, :, None], gaps[:, None, :], margin, pull) * valid
    return ops.sum(losses) / ops.maximum(ops.sum(valid), 1)


def jule(
    model,
    samples,
    clusters,
    merge=0.9,
    epochs=20,
    batch=100,
    learning_rate=0.01,
    neighbours=20,
    rivals=5,
    rivalry=1.0,
    absorb=0.25,
    seed=0,
):
    """Train an encoder without labels, in place: it learns from clusters, which follow it.

    The first clusters come from the samples themselves. Then, in turns, the model learns by
    `triplet_loss` to bring clusters together and apart from one another, and the clusters are
    merged by its features (`agglomerate`). Training comes last, as in Moriya et al. (2018).

    Args:
        model: keras.Model from samples to features of length 1: models.patch_encoder.
        samples: (count, *patch, channels); affinities take memory of count ** 2 in the worst case.
        clusters: how many to end with. It shapes the features, so it is no free choice afterwards.
        merge: share of the clusters merged away in a period; the paper also has .2 for faces.
        epochs: of each period.
        batch: samples a step.
        learning_rate: of SGD with momentum .9 and weight decay 5e-5; times
            (1 + step / 10,000) ** -.75.
        neighbours, rivals, rivalry, absorb: as in `affinity`, `merge_loss` and `agglomerate`.
        seed: int; of the order of samples.

    Returns:
        {"labels": [clusters (count,) of each period, the last the final ones], "loss": [mean
        loss of each epoch]}

    Raises:
        ConfigError: numbers out of range, or fewer first clusters than are asked for.
    """
    samples = np.asarray(samples, "float32")
    if not 2 <= clusters < len(samples) or not 0 < merge < 1 or epochs < 1 or batch < 3:
        raise ConfigError(
            f"jule: {len(samples)} samples, clusters={clusters}, merge={merge}, epochs={epochs}, "
            f"batch={batch}; ask for 2 clusters or more, fewer than samples; a share between 0 and "
            "1; an epoch or more; batches of 3, a triplet, or more."
        )
    labels = first_clusters(samples)
    counts = merge_schedule(labels.max() + 1, clusters, merge)
    if counts[0] < clusters:
        raise ConfigError(
            f"jule: {len(samples)} samples form {counts[0]} groups of nearest neighbours, fewer "
            f"than clusters={clusters}. Give more samples or ask for fewer clusters."
        )
    optimizer = keras.optimizers.SGD(learning_rate, momentum=0.9, weight_decay=5e-5)
    model.compile(optimizer, triplet_loss)
    rng = np.random.default_rng(seed)
    history = {"labels": [], "loss": []}
    with progress(total=len(counts) * epochs, desc="JULE") as bar:
        for count in counts:
            if count < labels.max() + 1:
                features = model.predict(samples, batch_size=256, verbose=0)
                labels = agglomerate(features, labels, count, neighbours, rivals, rivalry, absorb)
            history["labels"].append(labels)
            for _ in range(epochs):
                loss = epoch(model, samples, labels, min(batch, len(samples)), learning_rate, rng)
                history["loss"].append(loss)
                bar.set_postfix_str(f"{count} clusters, loss {loss:.4f}", refresh=False)
                bar.update()
    return history


def epoch(model, samples, labels, batch, learning_rate, rng):
    """Learn from all samples once, but for those that fill no batch: the mean loss."""
    model.reset_metrics()
    steps = len(samples) // batch
    for rows in rng.permutation(len(samples))[: steps * batch].reshape(steps, batch):
        step = int(model.optimizer.iterations)
        model.optimizer.learning_rate = learning_rate * (1 + 1e-4 * step) ** -0.75
        loss = model.train_on_batch(samples[rows], labels[rows])
    return float(loss)
