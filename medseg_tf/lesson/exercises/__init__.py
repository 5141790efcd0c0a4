"""One module a lesson, lNN: for each exercise a checker, a solution and typical wrong answers.

A checker takes the learner's answer and returns one line that starts with "Still to do", "Not yet"
(with the failing case and a hint that fits the mistake, never the solution) or "Yes".
"""

from collections import namedtuple

# check: the checker; solution: the answer it accepts; wrong: [(answer, words of the fitting hint)]
Exercise = namedtuple("Exercise", "check solution wrong")

TO_DO = "Still to do: {} returns nothing yet."
