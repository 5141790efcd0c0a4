# Sourced by the lanes: find Pythons, keep environments until their pins change, sum up.

# The build of TensorFlow that this machine's processor takes; macOS has no tensorflow-cpu.
TENSORFLOW=cpu
if [ "$(uname -s)" = Darwin ]; then TENSORFLOW=tensorflow; fi
NOTEBOOKS="ipykernel ipywidgets nbclient nbconvert nbformat"  # what lessons run with
SKIPPED=77

# Path of a Python of this version that really runs: from PATH, else from pyenv; nothing without.
find_python() {
    local python
    for python in "python$1" "${HOME:-}"/.pyenv/versions/"$1".*/bin/"python$1"; do
        if "$python" -c 'import venv, ensurepip' 2>/dev/null; then
            command -v "$python"
            return
        fi
    done
}

# environment FOLDER PYTHON ARGUMENTS: an environment in which pip has installed ARGUMENTS. It is
# made anew when these, the Python, pyproject.toml or the constraints are no longer the same.
environment() {
    local folder=$1 python=$2 pins
    shift 2
    pins=$("$python" -VV && echo "$@" && cat pyproject.toml constraints*.txt) || return
    pins=$(echo "$pins" | cksum)
    if [ "$(cat "$folder/.pins" 2>/dev/null)" = "$pins" ]; then return; fi
    echo "setting up $folder"
    "$python" -m venv --clear "$folder" &&
        "$folder/bin/python" -m pip install -q --disable-pip-version-check "$@" &&
        echo "$pins" >"$folder/.pins"
}

skip() {
    echo "SKIPPED: $1"
    exit $SKIPPED
}

# run_lanes FUNCTION NAME ...: run each lane in a shell that stops at its first error; the last
# line sums up, and the status is 1 if a lane failed. The caller must not have set -e.
run_lanes() {
    local lane=$1 name sum="" status=0
    shift
    for name; do
        printf '\n== %s (%d s)\n' "$name" "$SECONDS"
        (set -e && "$lane" "$name")
        case $? in
            0) sum+=" / $name passed" ;;
            $SKIPPED) sum+=" / $name skipped" ;;
            *) sum+=" / $name FAILED" status=1 ;;
        esac
    done
    printf '\n%s; %d s\n' "${sum# / }" "$SECONDS"
    return $status
}
