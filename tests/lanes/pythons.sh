#!/usr/bin/env bash
# All tests under every Python that the package supports and that is found here: make pythons.
set -uo pipefail
cd "$(dirname "$0")/../.."
. tests/lanes/lanes.sh

lane() {
    local python
    python=$(find_python "${1#Python }")
    if [ -z "$python" ]; then skip "no $1 on PATH or in pyenv"; fi
    local folder=.venv-${1#Python }
    environment "$folder" "$python" -e ".[$TENSORFLOW,test]" $NOTEBOOKS
    "$folder/bin/python" -m pytest -q -n 2 --dist loadfile
}

run_lanes lane "Python 3.11" "Python 3.12" "Python 3.13"
