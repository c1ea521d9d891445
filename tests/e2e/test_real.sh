#!/usr/bin/env bash
# Everything readable of the real DESI and Legacy files through catalog, embed, probe and tables with deterministic
# weights; broken ones among them become flagged rows. A reader of our own in astropy and the encoders of the oracle
# agree on every spectrum and cutout. (Viewer cutouts: test_cutouts.sh; SDSS: test_sdss.sh.) Needs the files
# (ASTROCLIP_SHARED/data) and a Python with numpy, h5py and astropy, named by ASTROCLIP_PYTHON.
set -u
python=${ASTROCLIP_PYTHON:-}
[ -n "$python" ] || { echo "ASTROCLIP_PYTHON names no Python: skipped"; exit 77; }
"$python" -c 'import numpy, h5py, astropy' 2> /dev/null || { echo "$python lacks h5py or astropy: skipped"; exit 77; }
. "$(dirname "$0")/../support/sky.sh"
real=${ASTROCLIP_SHARED:-../shared}/data
[ -f "$real/desi/quasarnp-25-spectra.fits" ] || { echo "no $real: skipped"; exit 77; }
oracle() { PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=tests/e2e/oracle "$python" tests/e2e/real.py "$@"; }

# Folders as a release has them. Spectra: one file compressed; one cut short, one empty, one that is no FITS.
desi=$work/desi legacy=$work/legacy/dr6
mkdir -p "$desi" "$legacy/south/coadd/095/0959p805" "$legacy/south/coadd/110/1102p240" "$legacy/sweep"
cp "$real"/desi/* "$desi/"
chmod u+w "$desi"/*
gzip "$desi/coadd-main-dark-9144.fits"
head -c 300000 "$real/desi/coadd-1-80693-thru20210204.fits" > "$desi/coadd-cut.fits"
: > "$desi/coadd-empty.fits"
echo "not a FITS file" > "$desi/coadd-text.fits"
cp "$real"/legacy/*0959p805* "$legacy/south/coadd/095/0959p805/"
cp "$real"/legacy/*1102p240* "$legacy/south/coadd/110/1102p240/"
cp "$real"/tractor/sweep*.fits "$legacy/sweep/"
cp "$real/legacy/survey-bricks-dr6.fits.gz" "$legacy/"
chmod -R u+w "$legacy"
oracle sky "$legacy" || { fail "making a sweep for the brick without sources"; finish; }

yaml=tests/e2e/real.yaml
roots=(--set "release.spectra.root=$desi" --set "release.images.root=$work/legacy")
coadds=$(cd "$desi" && ls | grep -v -e '^spectra-' -e '^redrock-' -e '\.gz$' | paste -sd,),coadd-main-dark-9144.fits
run real 2 --set "release.spectra.files=[$coadds]" > "$work/real.log" 2>&1 || { fail "the real files"; tail -20 "$work/real.log"; finish; }
run one 1 --set "release.spectra.files=[$coadds]" > "$work/one.log" 2>&1 || { fail "on one rank"; tail "$work/one.log"; finish; }
same_data real one
run exposures 2 --set "release.spectra.files=[spectra-5-169-thru20210419.fits]" --set 'run.stages=[catalog, embed]' \
    --set 'release.rows=[spectra]' > "$work/exposures.log" 2>&1 || { fail "exposures"; tail "$work/exposures.log"; finish; }
grep -h -e 'catalog: .* source rows' -e 'catalog: rejected' -e 'embed: .* rows' "$work/real.log"

oracle rows "$work/real" "$desi" "$work/legacy" || fail "the two programs differ on the real files"
oracle rows "$work/exposures" "$desi" "$work/legacy" || fail "the two programs differ on exposures"
finish
