#!/usr/bin/env bash
# jobs/build.sh [PRESET]: installs the packages that are missing (Debian), then builds program and tests into build/PRESET (release, debug, asan).
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}

packages=(gcc cmake ninja-build pkg-config git
          libopenmpi-dev openmpi-bin libhdf5-openmpi-dev hdf5-tools libcfitsio-dev wcslib-dev libchealpix-dev
          libopenblas-dev libyaml-dev zlib1g-dev libxxhash-dev libssl-dev libcunit1-dev fitsverify)

install_missing() {
    command -v dpkg-query >/dev/null || { echo "jobs/build.sh: not a Debian system; see README.md for the packages" >&2; return 0; }
    local missing=() p
    for p in "${packages[@]}"; do
        [ "$(dpkg-query -W -f='${Status}' "$p" 2>/dev/null)" = "install ok installed" ] || missing+=("$p")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    local sudo=()
    [ "$(id -u)" -eq 0 ] || sudo=(sudo)
    echo "installing: ${missing[*]}"
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

install_missing
cmake --preset "$preset" -G Ninja -DCMAKE_MESSAGE_LOG_LEVEL=WARNING >/dev/null
cmake --build "build/$preset" -j "$(nproc)"
