"""The `medseg` command: one module a group of commands, each with `add` and a function to run.

Exit codes: 0 done, 1 a lesson's cell or some scans failed, 2 wrong usage, 3 bad input, 4 no such
data or model, 5 something is not installed, 130 interrupted.
"""

import argparse
import os
import sys

from medseg_tf.cli import evaluate, lessons, segment, sets, train
from medseg_tf.errors import BackendError, ConfigError, DataNotFoundError, MedsegError, ModelError

CODES = {ConfigError: 2, DataNotFoundError: 4, ModelError: 4, BackendError: 5}


def main(arguments=None):
    """Run the command line; return its exit code. The last line on stderr is the reason."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
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
    for module in (lessons, sets, train, evaluate, segment):
        module.add(commands)
    return top
