#!/usr/bin/env bash
# jobs/demo.sh: from a fresh clone to embeddings and a property table of a mock sky. Further arguments go to `astroclip run`.
set -euo pipefail
cd "$(dirname "$0")/.."
jobs/build.sh release --target astroclip
echo "working in $PWD"
exec build/release/astroclip run config/demo.yaml -n 2 "$@"
