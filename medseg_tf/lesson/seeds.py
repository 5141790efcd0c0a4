"""The rows of a measured experiment, summed up over its seeds."""

from statistics import mean, stdev

from medseg_tf.table import Table


def over_seeds(results, scores, **where):
    """Return a Table with one row for each set and arm: mean and spread of `scores` over seeds.

    Args:
        results: what `lesson.results` returned; its rows have "set", "arm", "seed" and scores.
        scores: names of scores; a row without one of them shows a dash.
        where: keep only rows with these values, e.g. set="DIC-C2DH-HeLa"; a list allows several.
    """
    kept = {}
    for row in results["rows"]:
        if all(row[key] in (v if isinstance(v, list) else [v]) for key, v in where.items()):
            kept.setdefault((row["set"], row["arm"]), []).append(row)
    return Table(
        {"set": name, "arm": arm, "seeds": len(rows)}
        | {"minutes": spread([row["minutes"] for row in rows if "minutes" in row], 1)}
        | {score: spread([row[score] for row in rows if score in row]) for score in scores}
        for (name, arm), rows in kept.items()
    )


def spread(values, digits=3):
    """Write a mean, and behind it the standard deviation over seeds where there are several."""
    if not values:
        return None
    if len(values) == 1 or min(values) == max(values):
        return f"{mean(values):.{digits}f}"
    return f"{mean(values):.{digits}f} ± {stdev(values):.{digits}f}"
