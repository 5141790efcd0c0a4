"""The `medseg` command.

Exit codes: 0 done, 1 a lesson's cell failed, 2 wrong usage, 3 bad input, 4 no such data or model,
5 something is not installed, 130 interrupted.
"""

import argparse
import re
import sys

from medseg_tf.errors import BackendError, ConfigError, DataNotFoundError, MedsegError, ModelError
from medseg_tf.table import Table

CODES = {ConfigError: 2, DataNotFoundError: 4, ModelError: 4, BackendError: 5}


def main(arguments=None):
    """Run the command line; return its exit code. The last line on stderr is the reason."""
    asked = parser().parse_args(arguments)
    try:
        return asked.run(asked)
    except KeyboardInterrupt:
        print("medseg: interrupted", file=sys.stderr)
        return 130
    except (MedsegError, ModuleNotFoundError) as error:
        if asked.debug:
            raise
        print(f"medseg: {error}", file=sys.stderr)
        if isinstance(error, ModuleNotFoundError) and not isinstance(error, MedsegError):
            print("medseg: lessons need: pip install 'medseg-tf[course]'", file=sys.stderr)
            return 5
        return CODES.get(type(error), 3)


def parser():
    top = argparse.ArgumentParser(prog="medseg", description="CNN segmentation of medical images.")
    top.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = top.add_subparsers(required=True, metavar="command")

    lessons = commands.add_parser("lessons", help="list the lessons")
    lessons.set_defaults(run=list_lessons)

    lesson = commands.add_parser("lesson", help="run a lesson and judge its claims")
    lesson.add_argument("number", help="as `medseg lessons` lists it, e.g. 03")
    lesson.add_argument("--scale", choices=("smoke", "desktop", "paper"), default="desktop")
    lesson.set_defaults(run=run_lesson)
    return top


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


if __name__ == "__main__":
    sys.exit(main())
