"""One trunk for several domains, and networks that read what the one before said.

Source: Chen, Zheng, Park, Heng, Zhou, MICCAI 2016, arXiv:1607.01855: structures in ultrasound
share a trunk and have a branch each, so that every domain regularises the weights of the others; a
further network refines the answer, with its probabilities beside the image. Which losses are
summed, and how, is our reading of the abstract.
"""

import keras
import numpy as np

from medseg_tf.errors import ConfigError, ModelError
from medseg_tf.losses import WeightedCrossEntropy
from medseg_tf.methods.auto_context import add_maps, cross_fit, mean_maps, probabilities
from medseg_tf.models import blocks
from medseg_tf.progress import progress


def branch_out(model, domains):
    """Return a network with one output a domain on the model's trunk, whose layers it shares.

    Each branch is a 1 x 1 convolution that begins as a copy of the model's own last one, with its
    activation: so all ask the same of the trunk at first. (Branches drawn at random pull it apart,
    and hundreds of steps are lost.) For one domain use keras.Model(network.input,
    network.outputs[k]).

    Args:
        model: keras.Model that ends in the layers "logits" and "output", as those of
            medseg_tf.models do.
        domains: int, 1 or more.

    Raises:
        ModelError: other last layers. ConfigError: domains below 1.
    """
    if [layer.name for layer in model.layers[-2:]] != ["logits", "output"]:
        raise ModelError(
            f"branch_out: {model.name} ends in {', '.join(one.name for one in model.layers[-2:])}; "
            'right is "logits", "output".'
        )
    if domains < 1:
        raise ConfigError(f"branch_out: domains={domains}; give 1 or more.")
    features, last = model.get_layer("logits").input, model.get_layer("output").activation
    outputs = []
    for number in range(domains):
        x = blocks.conv(
            features, model.output_shape[-1], 1, activation=None, name=f"logits_{number}"
        )
        name = f"output_{number}"
        outputs.append(keras.layers.Activation(last, dtype="float32", name=name)(x))
    network = keras.Model(model.input, outputs, name=f"{model.name}_of_{domains}_domains")
    for number in range(domains):
        network.get_layer(f"logits_{number}").set_weights(model.get_layer("logits").get_weights())
    return network


def fit_domains(network, patches, epochs, learning_rate=1e-3, decay=1e-4):
    """Train the branches together: the loss is the sum over domains, plus the decay of weights.

    Each step takes a batch of every domain; an image counts for its own branch alone.

    Args:
        network: from `branch_out`; changed in place.
        patches: one data.Patches a domain, of one size; the first's length is an epoch's.
        epochs: int.
        learning_rate: the first rate of AdamW, which falls as in training.fit.
        decay: AdamW's weight decay.

    Returns:
        {"loss": [one number an epoch]}, the sum over the domains.

    Raises:
        ConfigError: not one Patches a branch.
    """
    count = len(network.outputs)
    if len(patches) != count:
        raise ConfigError(f"fit_domains: {len(patches)} Patches for {count} branches; one each.")
    steps = len(patches[0])
    rate = keras.optimizers.schedules.PolynomialDecay(learning_rate, epochs * steps, power=0.9)
    losses = [WeightedCrossEntropy() for _ in range(count)]
    network.compile(keras.optimizers.AdamW(rate, weight_decay=decay), losses)
    network.optimizer.build(network.trainable_variables)  # or the first step is traced twice
    own = np.repeat(np.eye(count, dtype="float32"), [one.batch for one in patches], axis=1)
    own = list(own) if count > 1 else own[0]  # Keras takes no list for a single output
    history = []
    with progress(total=epochs * steps, desc=network.name) as bar:
        for epoch in range(epochs):
            network.reset_metrics()
            for index in range(steps):
                x, y = map(np.concatenate, zip(*batches(patches, epoch, index), strict=True))
                result = network.train_on_batch(x, [y] * count, own, return_dict=True)
                bar.update()
            history.append(float(result["loss"]))
    return {"loss": history}


def batches(patches, epoch, index):
    """Return the batch of each domain."""
    for one in patches:
        one.epoch = epoch
    return [one[index % len(one)] for one in patches]


def refine(cases, fit, stages=2, folds=2, predict=probabilities, seed=0):
    """Train stage after stage; each but the first reads the maps of the one before.

    Every stage is cross-fitted, so that no network reads maps of cases its makers learned from.

    Args:
        cases: list of Case with labels.
        fit: function from a list of cases to a trained model; those of later stages have the maps
            as further channels.
        stages: int.
        folds, predict, seed: as in `cross_fit`.

    Returns:
        A list with the models of each stage, for `refined_maps`.

    Raises:
        ConfigError: stages below 1.
    """
    if stages < 1:
        raise ConfigError(f"refine: stages={stages}; give 1 or more.")
    networks, seen = [], cases
    for _ in range(stages):
        models, maps = cross_fit(seen, fit, folds, predict, seed)
        networks.append(models)
        seen = [add_maps(case, own) for case, own in zip(cases, maps, strict=True)]
    return networks


def refined_maps(networks, case, predict=probabilities):
    """Return the last stage's maps of a case that no network saw: (*spatial, classes) float32."""
    seen = case
    for models in networks:
        maps = mean_maps(models, seen, predict)
        seen = add_maps(case, maps)
    return maps
