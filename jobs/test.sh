#!/usr/bin/env bash
# jobs/test.sh [full]: builds and runs the tests (about 20 minutes on two cores). `full` (10 minutes more) repeats the unit, parity, grad and fault
# tests, those of 2 and 3 ranks, and the chain under AddressSanitizer and UndefinedBehaviorSanitizer first, and as root submits jobs to a SLURM of one node,
# which it installs where it is missing (tools/slurm-up.sh).
# Real and golden files are looked for in $ASTROCLIP_SHARED (default ../shared); tests that need them are skipped, saying so, where it is absent.
set -euo pipefail
cd "$(dirname "$0")/.."
[[ ${1:-} =~ ^(full)?$ ]] || { echo "jobs/test.sh: '$1'? It is jobs/test.sh or jobs/test.sh full" >&2; exit 2; }

# Independent readers for the tests (astropy, h5py): $ASTROCLIP_PYTHON, else the first python3, else Debian's.
find_python() {
    local candidate
    for candidate in "${ASTROCLIP_PYTHON:-python3}" /usr/bin/python3; do
        if "$candidate" -c 'import numpy, h5py, astropy' 2>/dev/null; then
            export ASTROCLIP_PYTHON=$candidate
            return 0
        fi
    done
    return 1
}

jobs/build.sh release
find_python || { jobs/packages.sh python3-astropy python3-h5py && find_python; } ||
    echo "jobs/test.sh: no Python with numpy, h5py and astropy: the tests that compare with them are skipped"
# Damaged files for every reader (tests/fuzz), under the sanitizers: 5 s a target, or 60.
jobs/build.sh asan --target fuzzers
FUZZ_SECONDS=$([ "${1:-}" = full ] && echo 60 || echo 5) ctest --test-dir build/asan --output-on-failure -j "$(nproc)" -L '^fuzz$'
if [ "${1:-}" = full ]; then
    export ASTROCLIP_LONG=1 # e2e.edges: 64 ranks; fault.stage_faults: every point on every rank; fault.watchdog: more ways to die
    jobs/build.sh asan
    ctest --test-dir build/asan --output-on-failure -j "$(nproc)" -L '^(unit|grad|parity|fault)$'
    ctest --test-dir build/asan --output-on-failure -j "$(nproc)" -R '^(mpi\..*\.[23]|e2e\.chain)$'
fi
ctest --test-dir build/release --output-on-failure -j "$(nproc)" ${1:+-C full}
