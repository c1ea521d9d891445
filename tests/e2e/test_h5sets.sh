#!/usr/bin/env bash
# The same galaxies in three published layouts, written by h5py: the AstroCLIP set; Stein et al. with spectra of the
# Multimodal Universe; both sets of the Multimodal Universe. Catalogue and embeddings must not depend on the layout, nor
# on the number of ranks.
python=${ASTROCLIP_PYTHON:-}
[ -n "$python" ] || { echo "ASTROCLIP_PYTHON names no Python: skipped"; exit 77; }
"$python" -c 'import numpy, h5py' 2> /dev/null || { echo "$python lacks h5py: skipped"; exit 77; }
. "$(dirname "$0")/../support/sky.sh"
"$python" tests/e2e/h5sets.py make "$work/sets" || { fail "making the sets"; finish; }

# embed OUTPUT RANKS SPECTRA IMAGES [arguments]: kinds with their roots, kind:folder
embed() {
    local output=$1 ranks=$2 spectra=$3 images=$4
    shift 4
    "$ASTROCLIP_BIN" run "$yaml" -n "$ranks" --set 'run.stages=[catalog, embed]' --set "run.output=$work/$output" \
        --set "release.spectra.kind=${spectra%:*}" --set "release.spectra.root=$work/sets/${spectra#*:}" \
        --set "release.images.kind=${images%:*}" --set "release.images.root=$work/sets/${images#*:}" "$@" \
        > "$work/$output.log" 2>&1 || { fail "$output"; tail -20 "$work/$output.log"; }
}

embed paired1 1 astroclip:paired astroclip:paired
embed paired2 2 astroclip:paired astroclip:paired --set embed.block_rows=5
embed stein 2 mmu:mmu/desi stein:stein
embed mmu 2 mmu:mmu/desi mmu:mmu/legacysurvey
"$python" tests/e2e/h5sets.py check "$work" paired1 paired2 stein mmu || fail "what came out"
h5diff --exclude-attribute / "$work/paired1/catalog.h5" "$work/paired2/catalog.h5" > "$work/h5diff.log" 2>&1 || fail "the catalogue depends on ranks"
grep -q 'DUPLICATE' "$work/paired1.log" || fail "the TARGETID that is there twice is not told"
finish
