#!/usr/bin/env bash
# jobs/build.sh [PRESET [CMAKE ARGUMENTS...]]: installs the packages that are missing (Debian), then builds program and tests into build/PRESET
# (release, debug, asan). `jobs/build.sh release --target astroclip` builds the program alone.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}

jobs/packages.sh gcc libc6-dev cmake ninja-build pkg-config \
    libopenmpi-dev openmpi-bin libhdf5-openmpi-dev libcfitsio-dev wcslib-dev libchealpix-dev libopenblas-dev libyaml-dev zlib1g-dev libxxhash-dev libpng-dev libmicrohttpd-dev gnuplot-nox \
    libssl-dev libcunit1-dev hdf5-tools fitsverify
cmake --preset "$preset" -G Ninja --log-level=WARNING >/dev/null
cmake --build "build/$preset" -j "$(nproc)" "${@:2}"
