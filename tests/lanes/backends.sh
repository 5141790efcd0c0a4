#!/usr/bin/env bash
# JAX and PyTorch must do what TensorFlow does, from the same weights: make backends.
set -uo pipefail
cd "$(dirname "$0")/../.."
. tests/lanes/lanes.sh

# Compiling thousands of small networks takes JAX most of the time.
export JAX_DISABLE_MOST_OPTIMIZATIONS=1
# The tests of what computes with Keras, but for files that need TensorFlow to load at all.
tests=$(grep -rL '^import tensorflow' --include='test_*.py' \
    tests/addons tests/facts tests/layers tests/methods tests/models tests/test_[elprtw]*.py \
    tests/test_in[fs]*.py)

lane() {
    local python bin=.venv-$1/bin package
    case $1 in # the versions it was tested with; pip's own settings choose the build
        jax) package=jax==0.10.2 ;;
        torch) package=torch==2.13.0 ;;
    esac
    python=$(find_python 3.11)
    if [ -z "$python" ]; then skip "no Python 3.11 on PATH or in pyenv"; fi
    environment ".venv-$1" "$python" "$package" || skip "pip cannot install $package"
    "$bin/python" -m pip install -q --disable-pip-version-check -e '.[test]'
    "$bin/python" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("tensorflow"))'

    export KERAS_BACKEND=$1
    "$bin/python" tests/lanes/twin.py check "$answers"
    MEDSEG_SCALE=smoke MPLBACKEND=Agg "$bin/python" notebooks/source/03_unet.py >/dev/null
    echo "lesson 03 ran as a script"
    PYTHONPATH=tests/lanes "$bin/python" -m pytest -p others -q -rs -n 2 --dist loadfile $tests
}

answers=$(mktemp -d)
trap 'rm -rf "$answers"' EXIT
.venv/bin/python tests/lanes/twin.py save "$answers" && run_lanes lane jax torch
