"""The functions that lessons call. They print: a lesson is read, not imported."""

import importlib
import inspect
import json
import os
import sys
import traceback
from importlib import resources

import medseg_tf
from medseg_tf.errors import ConfigError
from medseg_tf.table import Table, show

SCALES = ("smoke", "desktop", "paper")
_claims = {}  # of the lesson that runs in this process: claim -> row
_real = {}  # id of a list that `real` returned -> the set's name


def scale_name():
    """Return MEDSEG_SCALE, "desktop" where it is not set; ConfigError if it is no scale."""
    name = os.environ.get("MEDSEG_SCALE") or "desktop"
    if name not in SCALES:
        raise ConfigError(
            f"MEDSEG_SCALE is {name!r}; it must be one of {', '.join(SCALES)}. "
            "Set it before the lesson starts, e.g. MEDSEG_SCALE=smoke."
        )
    return name


def scale(*, smoke, desktop, paper=...):
    """Return the value for this run's scale; without `paper`, paper scale takes desktop's."""
    values = {"smoke": smoke, "desktop": desktop, "paper": desktop if paper is ... else paper}
    return values[scale_name()]


def real(name, spacing=None, limit=None):
    """Return the cases of a real set, or [] at smoke scale and where no data folder holds it.

    Args:
        name: a set of `data.available()`.
        spacing: distance between voxels to resample to, in the set's own units.
        limit: greatest number of cases.
    """
    from medseg_tf import data
    from medseg_tf.data import sets

    built_in = scale_name() == "smoke" or os.environ.get("MEDSEG_BUILT_IN")
    if built_in or sets.find(name) is None:
        return []
    cases = data.load(name, limit=limit)
    if spacing is not None:
        cases = [data.resample_case(case, spacing) for case in cases]
    _real[id(cases)] = name
    return cases


def banner(cases, why=""):
    """Print what this lesson runs on, and forget the claims of an earlier one.

    Args:
        cases: list of Case, from `real` or from a phantom.
        why: for simulated cases, the reason in a few words.
    """
    _claims.clear()
    print(f"{_origin(cases, why)}. Scale: {scale_name()}. {_machine()}.")


def _origin(cases, why):
    count = f"{len(cases)} case{'s' * (len(cases) != 1)}"
    if id(cases) not in _real:
        return f"Simulated data, {count}" + f" ({why})" * bool(why)
    from medseg_tf.data import sets

    name = _real[id(cases)]
    entry = sets.registry()[name]
    return f"Real data: {name}, {count} ({entry['owner']}; {entry['licence']})"


def _machine():
    import keras

    from medseg_tf.training.precision import gpu_capability

    backend = keras.backend.backend()
    device = "GPU" if gpu_capability() else f"CPU with {os.cpu_count()} cores"
    version = importlib.import_module(backend).__version__
    return (
        f"Runs on {device}, medseg_tf {medseg_tf.__version__}, "
        f"Keras {keras.__version__}, {backend} {version}"
    )


def claim(text, *, measured, against, holds, what="", spread=None, why="", source=""):
    """Judge one claim, print the verdict and keep it for the table; the same text replaces it.

    Args:
        text: the claim.
        measured, against: what the method and its twin reached.
        holds: whether the claim holds; None for undecided.
        what: what was measured, with its unit.
        spread: of the gain over seeds; a gain within it is undecided.
        why: for a claim that did not hold, the explanation.
        source: paper with figure or table.
    """
    if scale_name() == "smoke":
        verdict = "not judged at this scale"
    elif holds is None or (spread is not None and abs(measured - against) <= spread):
        verdict = "undecided"
    else:
        verdict = "held" if holds else "did not hold"
    row = {"claim": text, "what": what, "measured": measured, "against": against}
    row |= {"spread": spread, "verdict": verdict, "why": why, "source": source}
    # numpy's own numbers would be printed with all their digits
    _claims[text] = {key: getattr(value, "item", lambda v=value: v)() for key, value in row.items()}
    numbers = f"{show(_claims[text]['measured'])} against {show(_claims[text]['against'])}"
    print(f"{text}: {verdict} ({what}{': ' * bool(what)}{numbers})")


def claims_table():
    """Return all claims so far as a Table; columns that no claim fills are left out."""
    filled = [key for key in next(iter(_claims.values()), {}) if any(map(_fills(key), _claims))]
    return Table({key: row[key] for key in filled} for row in _claims.values())


def _fills(key):
    return lambda text: _claims[text][key] not in (None, "")


def exercise(checker, *answer):
    """Print the checker's one line on `answer`; a blank or a failing answer stops nothing.

    Checkers compare numbers closely, so layers made meanwhile are float32 whatever the precision.
    """
    if any(item is None or item is ... for item in answer):
        print("Still to do: put your answer in the place of the three dots.")
        return
    keras = sys.modules.get("keras")
    precision = keras and keras.config.dtype_policy()
    try:
        if keras:
            keras.config.set_dtype_policy("float32")
        print(checker(*answer))
    except Exception as error:  # the learner's code may raise anything, and Run All goes on
        line = traceback.extract_tb(error.__traceback__)[-1]
        print(
            f"Not yet: your answer stopped with {type(error).__name__}: {error} "
            f"(at: {line.line or f'line {line.lineno}'})."
        )
    finally:
        if keras:
            keras.config.set_dtype_policy(precision)


def source(thing):
    """Show the source of a function or class: highlighted in a notebook, plain elsewhere."""
    text = inspect.getsource(thing)
    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython():
        from IPython.display import Markdown, display

        # Not display.Code, whose HTML, LaTeX and text together are six times as large.
        display(Markdown(f"```python\n{text}```"))
    else:
        print(text)


def results(name):
    """Return the measured results of an experiment, e.g. results("03_unet"), or None.

    They are a dictionary with at least `date`, `versions` and `command`.
    """
    file = resources.files("medseg_tf") / "results" / f"{name}.json"
    if not file.is_file():
        print(f"No measured results yet: make results LESSON={name[:2]}")
        return None
    found = json.loads(file.read_text(encoding="utf-8"))
    versions = ", ".join(f"{package} {version}" for package, version in found["versions"].items())
    print(f"Measured on {found['date']}, not now ({found['command']}; {versions}).")
    return found
