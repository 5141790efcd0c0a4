"""A table as a list of rows: plain text in a terminal, HTML in a notebook."""

import html
import math


class Table(list):
    """A list of dictionaries with equal keys; `print(table)` and notebooks show it as a table."""

    @property
    def columns(self):
        return list(self[0]) if self else []

    def column(self, name):
        """Return one column as a list."""
        return [row[name] for row in self]

    def mean(self, name, **where):
        """Mean of a column over rows that match `where`; NaN and infinite values are left out."""
        values = [
            row[name] for row in self if all(row[key] == value for key, value in where.items())
        ]
        values = [value for value in values if math.isfinite(value)]
        return sum(values) / len(values) if values else math.nan

    def __str__(self):
        cells = [self.columns] + [[show(value) for value in row.values()] for row in self]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ([f"{c:<{w}}" for c, w in zip(line, widths, strict=True)] for line in cells)
        return "\n".join("  ".join(line).rstrip() for line in lines)

    __repr__ = __str__  # what a terminal and a notebook's plain text show

    def _repr_html_(self):
        head = "".join(f"<th scope='col'>{html.escape(str(c))}</th>" for c in self.columns)
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(show(v))}</td>" for v in row.values()) + "</tr>"
            for row in self
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def show(value):
    """Format one cell: floats to four digits, NaN and None as a dash."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return str(value)


def finite(table):
    """Return rows that JSON can hold: NaN and infinite numbers become None."""
    return [
        {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in row.items()
        }
        for row in table
    ]
