"""The errors of this package, one small family.

Each message says which file or argument, what was found, what would be right, and one remedy.
"""


class MedsegError(ValueError):
    """Anything this package refuses; its children say what kind of thing was wrong."""


class ImageReadError(MedsegError):
    """A file is not the image that was asked for, or holds values that no image may hold."""


class GeometryError(MedsegError):
    """Shapes, affines or spacings do not fit together, or cannot be true."""


class LabelError(MedsegError):
    """A label map holds values that are not class numbers or object numbers."""


class DataIntegrityError(MedsegError):
    """A file is damaged: cut short, changed, or not the one its checksum promises."""


class DataNotFoundError(MedsegError):
    """A data set or file is not there; the message says how to get it."""


class ModelError(MedsegError):
    """A model folder cannot be rebuilt, or a model does not fit the data it is given."""


class RunFolderError(MedsegError):
    """A folder of a training run belongs to another run or is damaged."""


class ConfigError(MedsegError):
    """An argument is out of range or does not fit the others."""


class BackendError(MedsegError, ImportError):
    """No deep-learning framework is installed."""
