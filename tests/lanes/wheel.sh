#!/usr/bin/env bash
# The wheel in an environment of its own, with the newest of what it asks for and no backend.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/lanes/lanes.sh

# Built from a copy, for building leaves files behind and takes in those of earlier builds.
empty=$(mktemp -d)
tree=$(mktemp -d)
trap 'rm -rf "$empty" "$tree"' EXIT
cp -R pyproject.toml README.md LICENSE medseg_tf "$tree"
rm -rf build/wheel
.venv/bin/python -m pip wheel -q --no-deps --no-build-isolation -w build/wheel "$tree"
wheel=$(echo build/wheel/*.whl)

environment .venv-wheel .venv/bin/python "$wheel"
.venv-wheel/bin/python -m pip install -q --no-deps --force-reinstall "$wheel"
.venv-wheel/bin/python -m pip check
.venv-wheel/bin/python tests/lanes/wheel.py "$empty"
MEDSEG_WHEEL=$PWD/$wheel .venv/bin/python -m pytest -q tests/lesson/test_colab_cell.py
