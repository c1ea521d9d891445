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
# pack OUTPUT RANKS SPECTRA IMAGES: into its folder
pack() { embed "$1" "$2" "$3" "$4" --set 'run.stages=[pack]' --set pack.block_rows=6; }
pack paired1 2 astroclip:paired astroclip:paired
pack stein 3 mmu:mmu/desi stein:stein
pack mmu 1 mmu:mmu/desi mmu:mmu/legacysurvey
"$python" tests/e2e/h5sets.py packed "$work" paired1 stein mmu || fail "what was packed"

# Spoiled files. As sources of a catalogue they are refused by name; embedding flags the rows that lie in them.
north=north/images_npix152_000000000_001000000.h5
for how in cut chunks claim text compound link axes; do
    cp -r "$work/sets/stein" "$work/sets/$how"
    "$python" tests/e2e/h5sets.py spoil $how "$work/sets/$how/$north" || { fail "spoiling: $how"; continue; }
    mkdir "$work/$how" && cp "$work/stein/catalog.h5" "$work/$how/"
    "$ASTROCLIP_BIN" embed "$yaml" --set "run.output=$work/$how" --set 'release.rows=[images]' --set release.spectra.kind=none --set release.images.kind=stein \
        --set "release.images.root=$work/sets/$how" --set 'embed.modalities=[image]' --set run.max_rejected_fraction=1 > "$work/$how.log" 2>&1 ||
        { fail "embedding with a file spoiled by $how"; tail -5 "$work/$how.log"; }
    [ "$("$python" tests/e2e/h5sets.py flags "$work/$how")" = "0:11 2:12" ] || fail "flags with a file spoiled by $how"
    grep -q "$north" "$work/$how.log" || fail "embed does not name the file spoiled by $how"
    "$ASTROCLIP_BIN" catalog "$yaml" --set "run.output=$work/refused" --set 'release.rows=[images]' --set release.spectra.kind=none \
        --set release.images.kind=stein --set "release.images.root=$work/sets/$how" > "$work/$how.refused" 2>&1
    [ $? -eq 3 ] && grep -q "$north" "$work/$how.refused" || { fail "catalog with a file spoiled by $how"; tail -5 "$work/$how.refused"; }
done
finish
