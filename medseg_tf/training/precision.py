"""Which number format to compute in."""

from pathlib import Path

import keras

from medseg_tf.errors import ConfigError
from medseg_tf.models.measure import send_shapes

NAMES = ("auto", "float32", "mixed_bfloat16", "mixed_float16")


def set_precision(name="auto"):
    """Set Keras' precision for models built from now on, print why, and return its name.

    Args:
        name: "float32", "mixed_bfloat16", "mixed_float16", or "auto" for what the device is made
            for. Weights, outputs and losses are float32 in all of them.

    Raises:
        ConfigError: an unknown name, or float16 without a GPU (ten times slower there).
    """
    if name not in NAMES:
        raise ConfigError(f"precision {name!r} is unknown; choose one of {', '.join(NAMES)}.")
    if name == "mixed_float16" and gpu_capability() is None:
        raise ConfigError(
            "mixed_float16 is about ten times slower than float32 on a processor. "
            "Use 'auto', which takes bfloat16 where the processor has it."
        )
    chosen, reason = fitting() if name == "auto" else (name, "as asked")
    keras.config.set_dtype_policy(chosen)
    print(f"precision: {chosen} ({reason})")
    return chosen


def fitting():
    """Return the precision that fits the device, and why."""
    gpu = gpu_capability()
    if gpu is None:
        found = sorted({"amx_bf16", "avx512_bf16"} & cpu_flags())
        if found:
            return "mixed_bfloat16", f"no GPU; the processor has {' and '.join(found)}"
        return "float32", "no GPU, and no bfloat16 instructions in the processor"
    name = f"a GPU of compute capability {gpu[0]}.{gpu[1]}"
    if gpu >= (8, 0):
        return "mixed_bfloat16", name
    if gpu >= (7, 0):
        return "mixed_float16", f"{name}, which has no bfloat16"
    return "float32", f"{name}, which gains nothing from 16 bits"


def gpu_capability():
    """Compute capability of the backend's first GPU, (0, 0) if it tells none; None without one."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        gpus = [device for device in jax.devices() if device.platform == "gpu"]
        told = gpus and getattr(gpus[0], "compute_capability", "0.0")  # "8.0"
        return tuple(map(int, told.split("."))) if gpus else None
    if backend == "torch":
        import torch

        return torch.cuda.get_device_capability() if torch.cuda.is_available() else None
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return None
    return tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))


def steady(model, size):
    """Let the 3-D convolutions compute in float32 whose bfloat16 gradient would be wrong.

    On a processor, the gradient of a kernel is garbage, now and then not even a number, where the
    first side of the map is 2 or more but smaller than the kernel: in oneDNN, which TensorFlow 2.20
    and 2.21 call, and for batches of 2 or more.

    Args:
        model: functional keras.Model; changed in place.
        size: spatial sizes of the images that it will learn from.

    Returns:
        The names of the layers that were changed.
    """
    changed = []

    def visit(layer, inputs, output):
        if isinstance(layer, keras.layers.Conv3D) and layer.compute_dtype == "bfloat16":
            reach = (layer.kernel_size[0] - 1) * layer.dilation_rate[0] + 1
            if 1 < inputs.shape[1] < reach:
                layer.dtype_policy = "float32"
                changed.append(layer.name)

    if len(size) == 3 and gpu_capability() is None:
        send_shapes("steady", model, size, visit)
    return changed


def cpu_flags():
    """Words of /proc/cpuinfo, which holds the processor's flags; none outside Linux."""
    path = Path("/proc/cpuinfo")
    return set(path.read_text().split()) if path.exists() else set()
