"""`medseg lessons` and `medseg lesson NN`: the course without a browser."""

import re
import sys

from medseg_tf.errors import ConfigError
from medseg_tf.table import Table


def add(commands):
    lessons = commands.add_parser("lessons", help="list the lessons")
    lessons.set_defaults(run=list_lessons)

    lesson = commands.add_parser("lesson", help="run a lesson and judge its claims")
    lesson.add_argument("number", help="as `medseg lessons` lists it, e.g. 03")
    lesson.add_argument("--scale", choices=("smoke", "desktop", "paper"), default="desktop")
    lesson.set_defaults(run=run_lesson)


def list_lessons(asked):
    from medseg_tf.lesson import notebook

    table = Table()
    for number, source in notebook.sources().items():
        title = notebook.parse(source.read_text(encoding="utf-8"))[0][2].splitlines()[0]
        place = source.parents[1] / f"{source.stem}.ipynb"
        table.append({"lesson": number, "title": title.lstrip("# "), "notebook": place})
    print(table)
    return 0


def run_lesson(asked):
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    from medseg_tf.lesson import notebook

    sources = notebook.sources()
    if asked.number not in sources:
        raise ConfigError(f"no lesson {asked.number!r}; there are {', '.join(sources)}.")
    source = sources[asked.number]
    try:
        executed, *places = notebook.run(source, asked.scale)
    except CellExecutionError as error:
        print(re.sub("\x1b\\[[0-9;]*m", "", str(error)), file=sys.stderr)
        print(f"medseg: {source} failed: {error.ename}: {error.evalue}", file=sys.stderr)
        return 1
    except DeadKernelError:
        reason = "its process died, most often for lack of memory; try --scale smoke"
        print(f"medseg: {source} failed: {reason}", file=sys.stderr)
        return 1
    print(notebook.claims(executed))
    print("notebook:", places[0])
    print("page:    ", places[1])
    return 0
