"""`medseg train`: look at the data, choose a plan and say why, train, and score held-back cases.

The output folder is a model folder (recipe.json, model.weights.h5) with plan.json and scores.json
beside it. Until the training is finished it holds what the run can go on from.
"""

import json
from pathlib import Path

from medseg_tf.cli import sets
from medseg_tf.errors import ConfigError, RunFolderError
from medseg_tf.table import finite

PLAN, SCORES = "plan.json", "scores.json"
# What changes the training: a run goes on only with the values that it began with.
FIXED = ("spacing", "flips", "depth", "patch", "width", "batch", "learning_rate")
KEPT = ("data", "limit", "allow_affine_mismatch", "model", "minutes", "held_back", "seed", *FIXED)


def add(commands):
    train = commands.add_parser(
        "train",
        help="train a network on labelled scans",
        description="Look at the data, print the plan with a reason for each number, train, score "
        "the cases that were held back. A number given here replaces the plan's.",
    )
    sets.add_data(train)
    train.add_argument("--model", default="unet", help="unet or vnet (default: unet)")
    train.add_argument("--out", required=True, type=Path, help="folder for the model")
    train.add_argument("--minutes", type=float, default=10, help="for the training (default: 10)")
    train.add_argument("--resume", action="store_true", help="go on with a run that was broken off")
    train.add_argument(
        "--held-back",
        type=float,
        default=0.2,
        help="share of the subjects to score instead of learning from (default: 0.2; 0 for none)",
    )
    train.add_argument("--seed", type=int, default=0, help="of the split, the weights, the patches")
    train.add_argument("--spacing", type=float, nargs="+", help="voxel size to work at")
    train.add_argument(
        "--flips", type=int, nargs="*", help="axes along which mirror images are as likely"
    )
    train.add_argument("--patch", type=int, nargs="+", help="side of a patch in voxels")
    train.add_argument("--depth", type=int, help="how often maps are halved")
    train.add_argument("--width", type=int, help="channels of the first stage")
    train.add_argument("--batch", type=int, help="patches a step")
    train.add_argument("--learning-rate", type=float, help="the first one; it falls to 0")
    train.set_defaults(run=run)


def run(asked):
    from medseg_tf.backend import require_backend

    check(asked)
    require_backend()
    import keras

    from medseg_tf import data, evaluation, inference, planning, recipe, training

    cases = sets.load(asked)
    learn, test = cases, []
    if asked.held_back and len({case.subject for case in cases}) < 2:
        raise ConfigError(
            "all cases are of one subject, so none can be held back: load more, or learn from all "
            "with --held-back 0."
        )
    if asked.held_back:
        learn, test = data.split_by_subject(
            cases, (1 - asked.held_back, asked.held_back), asked.seed
        )
    print(planning.look(learn), "", sep="\n")
    training.set_precision("auto")
    chosen = load_plan(asked)
    if chosen is None:
        fixed = {name: getattr(asked, name) for name in FIXED}
        chosen, reasons = planning.plan(learn, asked.model, **fixed)
        print(reasons, "", sep="\n")
        asked.out.mkdir(parents=True, exist_ok=True)
        kept = {name: getattr(asked, name) for name in KEPT}
        split = {
            name: list(dict.fromkeys(case.subject for case in part))
            for name, part in {"learned_from": learn, "held_back": test}.items()
        }
        recipe.write_json({"asked": kept, "plan": chosen, **split}, asked.out / PLAN)

    keras.utils.set_random_seed(asked.seed)
    model = planning.build(chosen)
    patches = planning.patches(planning.prepare(learn, chosen), chosen, asked.seed)
    training.fit(
        model,
        patches,
        planning.loss(chosen),
        minutes=asked.minutes,
        folder=asked.out,
        learning_rate=chosen["learning_rate"],
    )
    extra = {"scans": planning.scans(chosen), "plan": chosen}
    model.recipe |= extra
    if chosen["objects"]:
        some = learn[:: max(1, len(learn) // 8)]
        maps = [inference.probabilities(model, case) for case in some]
        extra["objects"] = inference.choose_cut([case.label.array for case in some], maps)
    recipe.save(model, asked.out, **extra)
    model = recipe.load_model(asked.out)  # what others will open is what is scored
    print(f"model: {asked.out}")
    if test:
        table = evaluation.evaluate(model, test)
        summary = evaluation.summary(table)
        print(f"\nscores on {len(test)} cases that it never saw:", summary, sep="\n")
        rows = {"rows": finite(table), "summary": finite(summary)}
        recipe.write_json(rows, asked.out / SCORES)
    return 0


def check(asked):
    """Raise unless the numbers make sense and the folder is free, or holds this very run."""
    if not asked.minutes > 0 or not 0 <= asked.held_back < 1:
        raise ConfigError(
            f"--minutes {asked.minutes:g} --held-back {asked.held_back:g}: need minutes "
            "above 0 and a share of at least 0 and below 1."
        )
    if asked.out.is_file():
        raise ConfigError(f"--out {asked.out} is a file; name a folder.")
    if (asked.out / PLAN).exists() and not asked.resume:
        raise RunFolderError(
            f"{asked.out} holds a run already. Go on with it by --resume, or choose another --out."
        )


def read_plan(folder):
    """Return what plan.json holds: asked, plan, learned_from, held_back; None without the file."""
    path = folder / PLAN
    if not path.exists():
        return None
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return {"asked": dict(stored["asked"]), "plan": dict(stored["plan"])} | {
            name: list(stored[name]) for name in ("learned_from", "held_back")
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFolderError(
            f"{path} is damaged ({error!r}). Train anew in another --out."
        ) from error


def load_plan(asked):
    """Return the plan of the run that goes on, None for a new run."""
    stored = read_plan(asked.out)
    if stored is None:
        return None
    before = stored["asked"]
    changed = [
        f"{name} was {before.get(name)}, is now {getattr(asked, name)}"
        for name in KEPT
        if before.get(name) != getattr(asked, name)
    ]
    if changed:
        raise RunFolderError(
            f"{asked.out} holds another run: {'; '.join(changed)}. Repeat its command with "
            "--resume, or choose another --out."
        )
    return stored["plan"]
