"""What each public name of tensorflow-addons 0.23 is called today, and the error that says so."""

from medseg_tf.errors import MedsegError


class GoneError(MedsegError, ImportError):
    """A name of tensorflow-addons that medseg_tf.addons does not provide.

    An ImportError, so that `try: from medseg_tf.addons.layers import TLU` can be guarded as ever.
    No AttributeError: Python would turn that into an ImportError of its own, and the replacement,
    which is all there is to say, would be lost. `dir(module)` tells what is there.
    """


def refuse(part):
    """Return the `__getattr__` of the module `part` ("" for the package): GoneError for TODAY's."""

    def __getattr__(name):
        full = ".".join(filter(None, ("addons", part, name)))
        if name not in TODAY[part]:
            raise AttributeError(f"medseg_tf.{full} does not exist; nor did tensorflow_{full}")
        raise GoneError(
            f"tensorflow_{full} is not part of medseg_tf.addons. Today: {TODAY[part][name]}."
        )

    return __getattr__


def pair(value):
    """Return (rows, columns) of a number for both, or of two."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)


def each(text, *names):
    return dict.fromkeys(names, text)


NONE = "nothing in Keras"
PROJECTIVE = "keras.ops.image.affine_transform takes the same eight numbers; "
AVERAGE = "the optimizer's use_ema=True and keras.callbacks.SwapEMAWeights"
CYCLE = "a keras.optimizers.schedules.LearningRateSchedule of your own; step_size counted steps"
TEXT = NONE + "; this package has networks for images only"

TODAY = {
    "": {
        **each("nothing to register: Keras 3 finds its own layers", "register", "register_all"),
        **each("no compiled kernels, so nothing to switch", "options"),
        **each("Keras' and Python's own types", "types", "utils"),
        **each("medseg_tf.__version__", "version"),
    },
    "activations": {
        "gelu": "keras.activations.gelu(x, approximate=True), which was TFA's default",
        "hardshrink": "keras.activations.hard_shrink",
        "lisht": "x * keras.ops.tanh(x)",
        "mish": "keras.activations.mish",
        "rrelu": "keras.activations.leaky_relu; its slope is fixed, not drawn",
        "snake": "x + keras.ops.sin(frequency * x) ** 2 / frequency",
        "softshrink": "keras.activations.soft_shrink",
        "sparsemax": "keras.activations.sparsemax",
        "tanhshrink": "keras.activations.tanh_shrink",
    },
    "callbacks": {
        "AverageModelCheckpoint": AVERAGE + " beside keras.callbacks.ModelCheckpoint",
        "TQDMProgressBar": "medseg_tf.training.fit and Keras' own fit show one",
        "TimeStopping": "medseg_tf.training.fit(minutes=...)",
    },
    "image": {
        "adjust_hsv_in_yiq": "keras.ops.image.rgb_to_hsv and hsv_to_rgb; other colours come out",
        "angles_to_projective_transforms": PROJECTIVE + "medseg_tf.addons.image.rotate makes them",
        "blend": "(1 - factor) * image1 + factor * image2",
        "compose_transforms": PROJECTIVE + "multiply them as 3 x 3 matrices, the last one being 1",
        "connected_components": "skimage.measure.label(connectivity=1); scipy.ndimage.label joins "
        "classes that touch",
        "cutout": "image * mask, the mask 0 in a box; TFA's offset was the box's centre",
        "dense_image_warp": "keras.ops.image.map_coordinates at the grid *minus* the flow, "
        "order=1, fill_mode='nearest'",
        "equalize": "keras.layers.Equalization",
        "euclidean_dist_transform": "scipy.ndimage.distance_transform_edt, which invents distances "
        "where there is no background",
        "gaussian_filter2d": "scipy.ndimage.gaussian_filter(radius=1, mode='mirror'); "
        "keras.ops.image.gaussian_blur pads with zeros",
        "interpolate_bilinear": "keras.ops.image.map_coordinates(order=1, fill_mode='nearest')",
        "interpolate_spline": "scipy.interpolate.RBFInterpolator(degree=1): order 1 is 'linear', "
        "2 'thin_plate_spline', 3 'cubic'",
        "mean_filter2d": "scipy.ndimage.uniform_filter(mode='mirror'), which TFA called REFLECT",
        "median_filter2d": "scipy.ndimage.median_filter(mode='mirror'), which TFA called REFLECT",
        "random_cutout": "keras.layers.RandomErasing",
        "random_hsv_in_yiq": "keras.layers.RandomHue and keras.layers.RandomSaturation",
        "resampler": "keras.ops.image.map_coordinates(order=1); its points are (y, x), "
        "TFA's were (x, y)",
        "rotate": "keras.ops.image.affine_transform; bilinear unless interpolation='nearest'",
        "sharpness": "keras.layers.RandomSharpness",
        **each(PROJECTIVE + "or keras.layers.RandomShear", "shear_x", "shear_y"),
        "sparse_image_warp": "scipy.interpolate.RBFInterpolator for the flow, then the dense warp",
        "transform": "keras.ops.image.affine_transform; bilinear unless interpolation='nearest'",
        "translate": "keras.ops.image.affine_transform; bilinear unless interpolation='nearest'",
        "translate_xy": "medseg_tf.addons.image.translate",
        "translations_to_projective_transforms": "(1, 0, -dx, 0, 1, -dy, 0, 0)",
    },
    "layers": {
        **each(
            "keras.ops.mean or keras.ops.max over blocks that you cut",
            *[f"Adaptive{kind}Pooling{n}D" for kind in ("Average", "Max") for n in (1, 2, 3)],
        ),
        "CRF": "medseg_tf.methods.dense_crf for images; for sequences " + NONE,
        "CorrelationCost": NONE + "; means of products of one map with the other, shifted",
        "ESN": NONE,
        "EmbeddingBag": "keras.layers.Embedding, then keras.ops.mean",
        "FilterResponseNormalization": NONE + "; x divided by the root of its mean square in space",
        "GELU": "keras.layers.Activation('gelu'), which is exact, where TFA approximated",
        "GroupNormalization": "keras.layers.GroupNormalization",
        "InstanceNormalization": "keras.layers.GroupNormalization(groups=-1)",
        "MaxUnpooling2D": "medseg_tf.layers.MaxPoolingWithIndices and MaxUnpooling",
        "MaxUnpooling2DV2": "medseg_tf.layers.MaxUnpooling, which takes the size from a map",
        "Maxout": "keras.ops.max over the pieces of a keras.layers.Dense",
        "MultiHeadAttention": "keras.layers.MultiHeadAttention",
        "NoisyDense": "keras.layers.GaussianNoise before keras.layers.Dense comes close",
        "PoincareNormalize": NONE + "; x / max(1, |x|), a little less than 1",
        "PolynomialCrossing": NONE + "; x0 * keras.layers.Dense(...)(x) + x",
        "Snake": "x + keras.ops.sin(frequency * x) ** 2 / frequency",
        "Sparsemax": "keras.layers.Activation('sparsemax')",
        "SpatialPyramidPooling2D": "keras.ops.mean over blocks of several sizes, concatenated",
        "SpectralNormalization": "keras.layers.SpectralNormalization; its weights have other names",
        "StochasticDepth": "keras.layers.Dropout(rate, noise_shape=(None, 1, 1, 1)) before the sum",
        "TLU": "keras.ops.maximum(x, threshold), the threshold a weight",
        "WeightNormalization": NONE + "; a layer whose kernel is gain * v / |v|, or "
        "keras.layers.GroupNormalization instead",
    },
    "losses": {
        **each(
            "label * d ** 2 + (1 - label) * keras.ops.maximum(margin - d, 0) ** 2",
            "ContrastiveLoss",
            "contrastive_loss",
        ),
        **each(NONE + "; boxes, not masks", "GIoULoss", "giou_loss"),
        **each(
            "a function of keras.ops over the distances within a batch",
            "LiftedStructLoss",
            "NpairsLoss",
            "NpairsMultilabelLoss",
            "TripletHardLoss",
            "TripletSemiHardLoss",
            "lifted_struct_loss",
            "npairs_loss",
            "npairs_multilabel_loss",
            "triplet_hard_loss",
            "triplet_semihard_loss",
        ),
        **each(
            "keras.ops.maximum(tau * e, (tau - 1) * e) with e = y_true - y_pred",
            "PinballLoss",
            "pinball_loss",
        ),
        **each(
            "keras.losses.BinaryFocalCrossentropy with apply_class_balancing=True; its default has "
            "no alpha, and the mean where TFA had the sum",
            "SigmoidFocalCrossEntropy",
            "sigmoid_focal_crossentropy",
        ),
        **each(NONE, "SparsemaxLoss", "sparsemax_loss", "WeightedKappaLoss"),
    },
    "metrics": {
        "CohenKappa": "sklearn.metrics.cohen_kappa_score",
        "F1Score": "keras.metrics.F1Score, without num_classes; medseg_tf.metrics.dice for images",
        "FBetaScore": "keras.metrics.FBetaScore, without num_classes",
        "GeometricMean": "scipy.stats.gmean",
        **each(
            "keras.ops.mean(a != b), after a threshold or argmax",
            "HammingLoss",
            "hamming_distance",
            "hamming_loss_fn",
        ),
        "HarmonicMean": "scipy.stats.hmean",
        **each("scipy.stats.kendalltau", "KendallsTauB", "KendallsTauC"),
        "MatthewsCorrelationCoefficient": "sklearn.metrics.matthews_corrcoef; a single column of 0 "
        "and 1 gave 0 in TFA",
        "MeanMetricWrapper": "keras.metrics.MeanMetricWrapper",
        "MultiLabelConfusionMatrix": "sklearn.metrics.multilabel_confusion_matrix",
        "PearsonsCorrelation": "scipy.stats.pearsonr",
        "RSquare": "keras.metrics.R2Score",
        "SpearmansRank": "scipy.stats.spearmanr",
    },
    "optimizers": {
        "AdamW": "keras.optimizers.AdamW with weight_decay = TFA's / learning rate",
        "SGDW": "keras.optimizers.SGD with weight_decay = TFA's / learning rate",
        **each(NONE + "; keras.optimizers.Adam comes close", "AdaBelief", "RectifiedAdam", "Yogi"),
        **each(NONE, "COCOB", "ConditionalGradient", "NovoGrad", "ProximalAdagrad"),
        **each(AVERAGE, "AveragedOptimizerWrapper", "MovingAverage", "SWA"),
        **each(
            CYCLE,
            "CyclicalLearningRate",
            "ExponentialCyclicalLearningRate",
            "Triangular2CyclicalLearningRate",
            "TriangularCyclicalLearningRate",
        ),
        **each(
            "weight_decay of every optimizer of Keras, which multiplies it by the learning rate",
            "DecoupledWeightDecayExtension",
            "extend_with_decoupled_weight_decay",
        ),
        "KerasLegacyOptimizer": "keras.optimizers.Optimizer",
        "LAMB": "keras.optimizers.Lamb; another epsilon, and its decay as in AdamW",
        "LazyAdam": "keras.optimizers.Adam",
        "Lookahead": NONE + "; use_ema=True with ema_overwrite_frequency comes close",
        "MultiOptimizer": "medseg_tf.methods.AdamByLayer",
    },
    "rnn": each(
        "keras.layers.RNN with a cell of your own",
        "ESNCell",
        "LayerNormLSTMCell",
        "LayerNormSimpleRNNCell",
        "NASCell",
        "PeepholeLSTMCell",
    ),
    "seq2seq": {
        "AttentionMechanism": "keras.layers.Attention",
        "BahdanauAttention": "keras.layers.AdditiveAttention",
        "LuongAttention": "keras.layers.Attention",
        **each(
            TEXT,
            "AttentionWrapper",
            "AttentionWrapperState",
            "BahdanauMonotonicAttention",
            "BaseDecoder",
            "BasicDecoder",
            "BasicDecoderOutput",
            "BeamSearchDecoder",
            "BeamSearchDecoderOutput",
            "BeamSearchDecoderState",
            "CustomSampler",
            "Decoder",
            "FinalBeamSearchDecoderOutput",
            "GreedyEmbeddingSampler",
            "InferenceSampler",
            "LuongMonotonicAttention",
            "SampleEmbeddingSampler",
            "Sampler",
            "ScheduledEmbeddingTrainingSampler",
            "ScheduledOutputTrainingSampler",
            "SequenceLoss",
            "TrainingSampler",
            "dynamic_decode",
            "gather_tree",
            "gather_tree_from_array",
            "hardmax",
            "monotonic_attention",
            "safe_cumprod",
            "sequence_loss",
            "tile_batch",
        ),
    },
    "text": each(
        TEXT,
        "CRFModelWrapper",
        "CrfDecodeForwardRnnCell",
        "crf_binary_score",
        "crf_constrained_decode",
        "crf_decode",
        "crf_decode_backward",
        "crf_decode_forward",
        "crf_filtered_inputs",
        "crf_forward",
        "crf_log_likelihood",
        "crf_log_norm",
        "crf_multitag_sequence_score",
        "crf_sequence_score",
        "crf_unary_score",
        "parse_time",
        "skip_gram_sample",
        "skip_gram_sample_with_text_vocab",
        "viterbi_decode",
    ),
}
