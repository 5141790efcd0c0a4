"""`medseg data`: which public sets are known and there; and what DATA means to other commands."""

from medseg_tf.errors import ConfigError

DATA = (
    "a registered set (medseg data list); a Decathlon folder; a folder with imagesTr/ and "
    "labelsTr/; or two patterns in quotes: 'scans/*.nii.gz' 'labels/*.nii.gz'"
)


def add(commands):
    sets = commands.add_parser("data", help="list public data sets, or get one")
    actions = sets.add_subparsers(required=True, metavar="action")
    listing = actions.add_parser("list", help="the sets that are known, and where they lie")
    listing.set_defaults(run=list_sets)
    get = actions.add_parser("get", help="download a set, where its owner allows it")
    get.add_argument("name", help="as `medseg data list` names it")
    get.set_defaults(run=get_set)


def add_data(command):
    """Add the argument DATA, and what goes with it, to a command."""
    command.add_argument("data", nargs="+", metavar="DATA", help=DATA)
    command.add_argument(
        "--allow-affine-mismatch",
        action="store_true",
        help="where an image and its label differ in their place but not in shape, believe the "
        "image",
    )
    command.add_argument("--limit", type=int, help="read at most so many cases")


def load(asked):
    """Load the cases that DATA names."""
    from medseg_tf import data

    options = {"allow_affine_mismatch": True} if asked.allow_affine_mismatch else {}
    if len(asked.data) > 2:
        raise ConfigError(
            f"{len(asked.data)} names for DATA; put patterns into quotes, so that the shell hands "
            "them on: 'scans/*.nii.gz' 'labels/*.nii.gz'."
        )
    if len(asked.data) == 2:
        options["labels"] = asked.data[1]
    return data.load(asked.data[0], limit=asked.limit, **options)


def list_sets(asked):
    from medseg_tf import data

    print(data.available())
    return 0


def get_set(asked):
    from medseg_tf.data import download

    print(download.get(asked.name))
    return 0
