"""Which number format to compute in."""

from pathlib import Path

import keras

from medseg_tf.errors import ConfigError

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
    """Compute capability of TensorFlow's first GPU, (0, 0) if it tells none; None without one."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return None
    return tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))


def cpu_flags():
    """Words of /proc/cpuinfo, which holds the processor's flags; none outside Linux."""
    path = Path("/proc/cpuinfo")
    return set(path.read_text().split()) if path.exists() else set()
