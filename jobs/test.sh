#!/usr/bin/env bash
# jobs/test.sh [full]: builds and runs the tests (at most 15 minutes on two cores). `full` (at most 80 minutes) repeats the unit, parity, grad
# and fault tests under AddressSanitizer and UndefinedBehaviorSanitizer first.
# Real and golden files are looked for in $ASTROCLIP_SHARED (default ../shared); tests that need them are skipped, saying so, where it is absent.
set -euo pipefail
cd "$(dirname "$0")/.."

# Independent readers for the tests (astropy, h5py): a virtual environment outside the repository, if Python can make one.
python_oracles() {
    local venv=${ASTROCLIP_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/astroclip-venv}
    if [ ! -x "$venv/bin/python3" ] || ! "$venv/bin/python3" -c 'import numpy, h5py, astropy' 2>/dev/null; then
        python3 -m venv "$venv" >/dev/null 2>&1 && "$venv/bin/pip" install -q numpy h5py astropy >/dev/null 2>&1 || true
    fi
    if [ -x "$venv/bin/python3" ]; then export ASTROCLIP_PYTHON="$venv/bin/python3"; fi
}

jobs/build.sh release
python_oracles
if [ "${1:-}" = full ]; then
    jobs/build.sh asan
    ctest --test-dir build/asan --output-on-failure -j "$(nproc)" -L '^(unit|grad|parity|fault)$'
fi
ctest --test-dir build/release --output-on-failure -j "$(nproc)"
