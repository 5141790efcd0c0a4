"""Procedures that label or learn without being a network themselves."""

from .auto_context import add_maps, cross_fit, mean_maps
from .calibration import prior_shift
from .greedy import greedy
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
from .patch_clusters import block_features, draw_patches, paint_clusters
from .patch_fusion import patch_fusion
from .patch_matching import match_patches, patch_statistics, patch_vectors, sparse_code
from .pathway import centre_line, draw_parts, find_parts, learn_parts, patches_at
from .random_walker import random_walker
from .shape_model import ShapeModel, plausible, search_shape, shape_model
from .thresholds import k_means, multi_otsu, otsu

__all__ = [
    "ShapeModel",
    "add_maps",
    "affinity",
    "agglomerate",
    "block_features",
    "centre_line",
    "cluster_affinity",
    "cross_fit",
    "draw_parts",
    "draw_patches",
    "find_parts",
    "first_clusters",
    "greedy",
    "jule",
    "k_means",
    "learn_parts",
    "match_patches",
    "mean_maps",
    "merge_loss",
    "merge_schedule",
    "multi_otsu",
    "otsu",
    "paint_clusters",
    "patch_fusion",
    "patch_statistics",
    "patch_vectors",
    "patches_at",
    "plausible",
    "prior_shift",
    "random_walker",
    "search_shape",
    "shape_model",
    "sparse_code",
    "triplet_loss",
]
