#!/usr/bin/env bash
# The whole path once more in Python (tests/e2e/oracle), written from the description of the method and of the file
# formats alone: a mock sky, spoiled with what surveys contain, gives the same catalogue, embeddings, fits and property
# table in both programs.
# Needs a Python with numpy, h5py and astropy, named by ASTROCLIP_PYTHON.
python=${ASTROCLIP_PYTHON:-}
[ -n "$python" ] || { echo "ASTROCLIP_PYTHON names no Python: skipped"; exit 77; }
"$python" -c 'import numpy, h5py, astropy' 2> /dev/null || { echo "$python lacks h5py or astropy: skipped"; exit 77; }
. "$(dirname "$0")/../support/sky.sh"
oracle() { PYTHONDONTWRITEBYTECODE=1 "$python" "$@"; }

# At 79 degrees the images reach so little beyond the corners of their bricks that cutouts there leave them.
make_sky --set mock.ra=359.9 --set mock.dec=79.2 --set mock.objects=70 --set mock.per_brick=36
oracle tests/e2e/oracle/spoil.py "$work/sky/desi" "$work/sky/legacy" mock || { fail "spoiling the sky"; finish; }

# As configured by default; then every other choice where there are two, with the margin of the cutout not cropped away.
other=(--set 'run.stages=[catalog, embed]'
    --set catalog.good_zwarn=true --set catalog.min_deltachi2=203 --set catalog.primary_only=true
    --set catalog.z_min=0.06 --set catalog.z_max=0.6 --set 'catalog.spectype=[GALAXY]'
    --set spectra.merge=desispec-2024 --set spectra.bad_pixels=released --set spectra.max_masked_fraction=0.9
    --set images.missing_band=zero
    --set embed.weights_seed=5 --set embed.block_rows=7 --set embed.volume_rows=30 --set model.head_heads=2
    --set model.image.image_size=152 --set model.image.patch_size=19 --set model.image.embed_dim=32
    --set model.image.depth=3 --set model.image.num_heads=4 --set model.image.block_chunks=2
    --set model.spectrum.num_layers=2 --set model.spectrum.slice_section_length=24 --set model.spectrum.slice_overlap=8)
run default 2 > "$work/default.log" 2>&1 || { fail "the chain"; tail -20 "$work/default.log"; finish; }
run other 2 "${other[@]}" > "$work/other.log" 2>&1 || { fail "other choices"; tail -20 "$work/other.log"; finish; }
stage catalog redrock 2 --set release.spectra.redshifts=redrock > "$work/redrock.log" 2>&1 ||
    { fail "a catalogue of redrock files"; tail "$work/redrock.log"; finish; }

oracle tests/e2e/oracle "$work/default" --every 2 --beyond 6 > "$work/default.oracle" 2>&1 &
first=$!
oracle tests/e2e/oracle "$work/other" --every 2 --beyond 4 --stages catalog,embed > "$work/other.oracle" 2>&1 ||
    fail "other choices: the two programs differ"
wait $first || fail "default choices: the two programs differ"
oracle tests/e2e/oracle "$work/redrock" --stages catalog > "$work/redrock.oracle" 2>&1 ||
    fail "rows of redrock files: the two programs differ"
cat "$work/default.oracle" "$work/other.oracle" "$work/redrock.oracle"
finish
