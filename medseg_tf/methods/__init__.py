"""Procedures that label or learn without being a network themselves."""

from .auto_context import add_maps, cross_fit, mean_maps
from .calibration import calibration_error, prior_shift
from .dense_crf import dense_crf, energy, pair_weights
from .dynamic_cnn import dynamic_cnn, match_block
from .fine_tuning import AdamByLayer, freeze, hold_statistics, renormalize
from .greedy import greedy
from .iterative_labelling import agreed, co_training, label_report
from .jule import (
    affinity,
    agglomerate,
    cluster_affinity,
    first_clusters,
    jule,
    merge_loss,
    merge_schedule,
    triplet_loss,
)
from .label_spreading import harmonic_labels, label_spreading, spreading_steps
from .multi_domain import branch_out, fit_domains, refine, refined_maps
from .patch_clusters import block_features, draw_patches, paint_clusters
from .patch_fusion import patch_fusion
from .patch_matching import match_patches, patch_statistics, patch_vectors, sparse_code
from .pathway import centre_line, draw_parts, find_parts, learn_parts, patches_at
from .pyramid import pyramid_patches
from .random_walker import random_walker
from .rbm import contrastive_divergence, fold_standardization, pretrain_rbm, train_rbm
from .region_measures import MEASURES, region_measures
from .self_training import KnownPatches, pseudo_label, self_training
from .shape_model import ShapeModel, plausible, search_shape, shape_model
from .sparse_autoencoder import pretrain_sparse
from .thresholds import k_means, multi_otsu, otsu

__all__ = [
    "AdamByLayer",
    "KnownPatches",
    "MEASURES",
    "ShapeModel",
    "add_maps",
    "affinity",
    "agglomerate",
    "agreed",
    "block_features",
    "branch_out",
    "calibration_error",
    "centre_line",
    "cluster_affinity",
    "co_training",
    "contrastive_divergence",
    "cross_fit",
    "dense_crf",
    "draw_parts",
    "draw_patches",
    "dynamic_cnn",
    "energy",
    "find_parts",
    "first_clusters",
    "fit_domains",
    "fold_standardization",
    "freeze",
    "greedy",
    "harmonic_labels",
    "hold_statistics",
    "jule",
    "k_means",
    "label_report",
    "label_spreading",
    "learn_parts",
    "match_block",
    "match_patches",
    "mean_maps",
    "merge_loss",
    "merge_schedule",
    "multi_otsu",
    "otsu",
    "paint_clusters",
    "pair_weights",
    "patch_fusion",
    "patch_statistics",
    "patch_vectors",
    "patches_at",
    "plausible",
    "pretrain_rbm",
    "pretrain_sparse",
    "prior_shift",
    "pseudo_label",
    "pyramid_patches",
    "random_walker",
    "refine",
    "refined_maps",
    "region_measures",
    "renormalize",
    "search_shape",
    "self_training",
    "shape_model",
    "sparse_code",
    "spreading_steps",
    "train_rbm",
    "triplet_loss",
]
