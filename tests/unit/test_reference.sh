#!/usr/bin/env bash
# config/reference.yaml is what the tables say, and every run file in config/ is valid.
set -u
cd "$ASTROCLIP_SOURCE"
bad=0
fresh=$(mktemp)
trap 'rm -f "$fresh"' EXIT
"$ASTROCLIP_BIN" reference > "$fresh" || bad=1
if ! diff -u config/reference.yaml "$fresh"; then
    echo "config/reference.yaml is stale: astroclip reference > config/reference.yaml"
    bad=1
fi
for file in config/*.yaml; do
    "$ASTROCLIP_BIN" check "$file" > /dev/null || { echo "$file is not valid"; bad=1; }
done
exit $bad
