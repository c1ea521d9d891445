#!/usr/bin/env bash
# The run files of config/ on mock skies in the layouts that they are for, and the other layouts and kinds of rows beside them: every source row is
# accounted for, and the same objects have the same embeddings, whatever the files look like.
# Needs a Python with numpy, h5py and astropy, named by ASTROCLIP_PYTHON.
python=${ASTROCLIP_PYTHON:-}
[ -n "$python" ] || { echo "ASTROCLIP_PYTHON names no Python: skipped"; exit 77; }
"$python" -c 'import numpy, h5py, astropy' 2> /dev/null || { echo "$python lacks h5py or astropy: skipped"; exit 77; }
. "$(dirname "$0")/../support/sky.sh"

# Encoders as small as those of small.yaml; weights that need no file.
tiny=(--set model.embed_dim=32 --set model.head_heads=4 --set model.image.embed_dim=24 --set model.image.depth=2 --set model.image.num_heads=2
    --set model.image.block_chunks=1 --set model.spectrum.embed_dim=24 --set model.spectrum.num_layers=1 --set model.spectrum.num_heads=2
    --set embed.weights=deterministic --set mock.objects=36 --set mock.per_brick=36)

# sky NAME [arguments]: writes NAME.sky and NAME.truth; spectra NAME, images NAME: roots for the functions of sky.sh
spectra() { roots=(--set "release.spectra.root=$work/$1.sky/desi"); }
images() { roots+=(--set "release.images.root=$work/$1.sky/legacy"); }
sky() {
    local name=$1
    shift
    stage mock "$name.truth" 2 "${tiny[@]}" "$@" > "$work/mock.log" 2>&1 || { cat "$work/mock.log"; fail "mock $name"; finish; }
}
# chain NAME [arguments]: catalog and embed
chain() {
    local name=$1
    shift
    run "$name" 2 "${tiny[@]}" --set 'run.stages=[catalog, embed]' "$@" > "$work/$name.log" 2>&1 || { fail "$name"; cat "$work/$name.log"; finish; }
}

# ---- the three run files ----

yaml=config/desi-edr.yaml
spectra edr
images edr
roots+=(--set "release.labels=$work/edr.sky/labels.hdf5")
sky edr --set mock.layout=edr
"$ASTROCLIP_BIN" check "$yaml" "${roots[@]}" --set 'run.stages=[catalog, embed, probe, tables]' "${tiny[@]}" > "$work/check.log" 2>&1 || { fail "check $yaml"; cat "$work/check.log"; }
grep -q 'not known yet' "$work/check.log" && { fail "check $yaml does not find the sky"; cat "$work/check.log"; }
chain edr --set 'run.stages=[catalog, embed, probe, tables]' --set probe.min_rows=20
fitsverify -q "$work/edr/properties.fits" | grep -q '^verification OK' || fail "properties.fits of $yaml"

yaml=config/desi-dr1.yaml
spectra dr1
images dr1
sky dr1
chain dr1

yaml=config/legacy-dr10.yaml
roots=()
images dr10
sky dr10
chain dr10

# the run files name every key that they set, and are complete but for the paths
for yaml in config/desi-edr.yaml config/desi-dr1.yaml config/legacy-dr10.yaml; do
    "$ASTROCLIP_BIN" check "$yaml" > "$work/check.log" 2>&1 || { fail "check $yaml"; cat "$work/check.log"; }
done

# ---- other layouts, other kinds of rows: spectra alone ----

yaml=tests/e2e/small.yaml
alone=(--set release.images.kind=none)
spectra dr1
chain base "${alone[@]}" --set release.spectra.specprod=iron
chain redrock "${alone[@]}" --set release.spectra.specprod=iron --set release.spectra.redshifts=redrock
chain coadd "${alone[@]}" --set release.spectra.specprod=iron --set release.spectra.redshifts=coadd
spectra dr2
sky dr2 "${alone[@]}" --set mock.layout=dr2 --set mock.exposures=3
chain dr2 "${alone[@]}"
chain exposures "${alone[@]}" --set release.spectra.spectra=exposures
spectra dr3
sky dr3 "${alone[@]}" --set mock.layout=dr3
chain dr3 "${alone[@]}" --set release.spectra.layout=uniqpix
spectra tiles
sky tiles "${alone[@]}" --set mock.layout=tiles
chain tiles "${alone[@]}" --set release.spectra.layout=tiles
chain tile_redrock "${alone[@]}" --set release.spectra.layout=tiles --set release.spectra.redshifts=redrock

PYTHONDONTWRITEBYTECODE=1 "$python" tests/e2e/layouts.py "$work" || fail "the layouts disagree"
finish
