"""Score a model case by case, and sum the scores up."""

import math

import keras
import numpy as np

from medseg_tf import inference, metrics
from medseg_tf.errors import ConfigError, GeometryError, LabelError
from medseg_tf.metrics import surface
from medseg_tf.progress import progress
from medseg_tf.table import Table

COUNTED = ("dice", "iou", "sensitivity", "specificity", "volume_difference")
SCORES = ("dice", "iou", "hausdorff95", "assd", "sensitivity", "specificity", "volume_difference")


def evaluate(model, cases, tile=None, overlap=0.5):
    """Segment each case and score it: a Table with a row per case and class.

    Columns: case, subject, class (background is left out), dice, iou, hausdorff95, assd,
    sensitivity, specificity, volume_difference. hausdorff95 and assd are in the units of the
    case's grid: mm, um, or pixels where the size is unknown. Cases of objects get one row each,
    with the scores of their area (dice, iou), the number of objects in the truth (objects) and
    found (found), and seg.

    Args:
        model: a keras.Model; or a function from a case to its integer labels (*spatial), so that
            a threshold or any other rival is scored by the same ruler.
        cases: list of Case, each with a label; all of classes or all of objects.
        tile, overlap: as in inference.segment.

    Raises:
        ConfigError: no cases, a case without label, or both kinds in one list.
        GeometryError, LabelError: the function's labels do not fit a case.
    """
    cases = list(cases)
    if not cases:
        raise ConfigError("evaluate: no cases; give a list with at least one case.")
    for case in cases:
        if case.label is None:
            raise ConfigError(f"evaluate: case {title(case)} has no label to compare with.")
    if len({case.instances for case in cases}) > 1:
        raise ConfigError(
            "evaluate: some cases hold classes and some objects (instances=True); their scores "
            "differ, so evaluate them apart."
        )
    table = Table()
    for case in progress(cases, desc="evaluating"):
        labels = predict(model, case, tile, overlap)
        try:
            table += (score_objects if case.instances else score_classes)(case, labels)
        except (GeometryError, LabelError) as error:
            raise type(error)(f"evaluate: case {title(case)}: {error}") from error
    return table


def predict(model, case, tile=None, overlap=0.5):
    """Return a case's labels (*spatial): classes, or object numbers if its truth holds objects."""
    if not isinstance(model, keras.Model):
        return np.asarray(model(case))
    if case.instances:
        return inference.segment_objects(model, case, tile, overlap).array
    return inference.segment(model, case, tile, overlap).array


def score_classes(case, labels):
    """Return one row per class of a case but the background."""
    truth, classes, spacing = case.label.array, case.classes, case.label.grid.spacing
    counted = {name: getattr(metrics, name)(truth, labels, classes) for name in COUNTED}
    rows = []
    for number in range(1, classes):
        scores = {name: float(counted[name][number]) for name in COUNTED}
        lists = metrics.surface_distances(truth == number, labels == number, spacing)
        scores |= {"hausdorff95": surface.farthest95(*lists), "assd": surface.average(*lists)}
        rows.append(named(case) | {"class": number} | {name: scores[name] for name in SCORES})
    return rows


def score_objects(case, labels):
    """Return the one row of a case of objects."""
    truth = case.label.array
    seg = metrics.seg(truth, labels)
    area = truth > 0, labels > 0
    return [
        named(case)
        | {
            "dice": float(metrics.dice(*area)[1]),
            "iou": float(metrics.iou(*area)[1]),
            "objects": count(truth),
            "found": count(labels),
            "seg": seg,
        }
    ]


def summary(table):
    """Return the means of a table of `evaluate`: one row per class, or one for cases of objects.

    A score that is NaN (a class absent from truth and prediction) or infinite (the distances of a
    class that only one of them holds, a volume invented from nothing) is left out of the mean of
    its own column alone; left_out counts the cases with at least one such score. So a class that
    was missed altogether puts its 0 into the mean of dice, and is counted in left_out for want of
    a distance. seg is the mean over all objects of all cases.
    """
    rows = Table()
    for number in sorted({row.get("class", 0) for row in table}):
        part = Table(row for row in table if row.get("class", 0) == number)
        scores = [name for name in part.columns if isinstance(part[0][name], float)]
        row = {"class": number} if number else {}
        row["cases"] = len(part)
        row["left_out"] = sum(not all(math.isfinite(one[s]) for s in scores) for one in part)
        row |= {name: part.mean(name) for name in scores}
        if "seg" in row:
            objects = sum(part.column("objects"))
            total = sum(one["objects"] * one["seg"] for one in part if one["objects"])
            row["seg"] = total / objects if objects else math.nan
        rows.append(row)
    return rows


def named(case):
    """Return the columns that say which case a row is about."""
    return {"case": title(case), "subject": case.subject}


def title(case):
    """Return what to call a case."""
    return case.name or case.subject


def count(labels):
    """Return the number of objects in a map of object numbers."""
    return int(np.count_nonzero(np.unique(labels)))
