"""`medseg evaluate`: score a trained model on labelled cases."""

import sys
from pathlib import Path

from medseg_tf.cli import sets
from medseg_tf.cli.train import read_plan
from medseg_tf.errors import DataNotFoundError
from medseg_tf.table import finite


def add(commands):
    evaluate = commands.add_parser(
        "evaluate",
        help="score a trained model on labelled scans",
        description="Segment each case of DATA and score it: a row for each class, then the means.",
    )
    evaluate.add_argument("model", type=Path, metavar="MODEL", help="folder of a trained model")
    sets.add_data(evaluate)
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write all rows to this file")
    evaluate.set_defaults(run=run)


def run(asked):
    from medseg_tf.backend import require_backend

    if asked.json and not asked.json.absolute().parent.is_dir():
        raise DataNotFoundError(f"--json {asked.json}: its folder is not there. Make it first.")
    require_backend()
    from medseg_tf import evaluation, recipe, training

    training.set_precision("auto")
    model = recipe.load_model(asked.model)
    cases = sets.load(asked)
    warn_of_known(asked.model, cases)
    table = evaluation.evaluate(model, cases)
    summary = evaluation.summary(table)
    print(table, summary, sep="\n\n")
    if asked.json:
        rows = {"rows": finite(table), "summary": finite(summary)}
        recipe.write_json({"model": str(asked.model), "data": asked.data, **rows}, asked.json)
    return 0


def warn_of_known(folder, cases):
    """Say how many of the cases the model has learned from: their scores flatter it."""
    learned = set((read_plan(folder) or {"learned_from": ()})["learned_from"])
    known = sum(case.subject in learned for case in cases)
    if known:
        print(
            f"medseg: {known} of {len(cases)} cases are of subjects that the model learned from; "
            "scores of the others alone tell how good it is",
            file=sys.stderr,
        )
