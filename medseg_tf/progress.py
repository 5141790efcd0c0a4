"""One progress bar for the whole package."""

import sys


class _Lines:
    """A stream for logs and notebooks: each refresh of the bar is a line of its own."""

    def __init__(self):
        self.last = ""

    def write(self, text):
        text = text.strip("\r\n ")
        if text and text != self.last:
            print(text, flush=True)
            self.last = text

    def flush(self):
        sys.stdout.flush()


def progress(iterable=None, total=None, desc="", **options):
    """Return a tqdm bar on a terminal, and a line every ten seconds elsewhere."""
    from tqdm import tqdm

    if sys.stderr.isatty():
        return tqdm(iterable, total=total, desc=desc, leave=False, **options)
    line = "{desc}: {percentage:3.0f} % of {total_fmt} in {elapsed}{postfix}"
    options = {"mininterval": 10, "miniters": 1, "delay": 5, "bar_format": line} | options
    return tqdm(iterable, total=total, desc=desc, file=_Lines(), leave=True, **options)
