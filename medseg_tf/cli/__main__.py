"""`python -m medseg_tf.cli` is `medseg`."""

import sys

from medseg_tf.cli import main

sys.exit(main())
