#!/usr/bin/env bash
# Few rows and many ranks: ranks without rows, pixels with one object, files and catalogues without rows, volumes that end inside a pixel, several groups
# of ranks with several volumes. With ASTROCLIP_LONG also 64 ranks (minutes).
. "$(dirname "$0")/../support/sky.sh"
python=${ASTROCLIP_PYTHON:-python3}
# verified OUTPUT: all artefacts hold
verified() {
    local file
    for file in catalog.h5 embeddings.h5 probes.h5 properties.fits; do
        "$ASTROCLIP_BIN" inspect "$work/$1/$file" --verify > "$work/inspect.log" 2>&1 || { fail "$file of $1"; tail -3 "$work/inspect.log"; }
    done
    no_parts "$1"
}
# chain OUTPUT RANKS [arguments...]
chain() {
    run "$@" --set run.max_rejected_fraction=1 > "$work/$1.log" 2>&1 || { fail "the chain to $1"; tail -5 "$work/$1.log"; return; }
    verified "$1"
}
rows_of() { sed -nE 's/.*tables: ([0-9]+) rows in, ([0-9]+) rows out/\1 \2/p' "$work/$1.log"; }

# an OpenBLAS that does not know this CPU is told what it has, unless the user says otherwise
core_of() { "$@" "$ASTROCLIP_BIN" --version | sed -nE 's/^gemm +openblas: //p'; }
grep -qw avx2 /proc/cpuinfo && [[ $(core_of env -u OPENBLAS_CORETYPE) == *Prescott ]] && fail "OpenBLAS runs this CPU as a Prescott"
[[ $(core_of env OPENBLAS_CORETYPE=Prescott) != *SkylakeX ]] || fail "OPENBLAS_CORETYPE is not heeded"
mkdir "$work/launcher"
printf '#!/bin/sh\nenv > "%s/environment"\nexit 1\n' "$work" > "$work/launcher/mpirun"
chmod +x "$work/launcher/mpirun"
env -u OPENBLAS_CORETYPE PATH="$work/launcher:$PATH" "$ASTROCLIP_BIN" run "$yaml" --set "run.output=$work/launched" --set 'run.stages=[mock]' > "$work/launched.log" 2>&1 && fail "a stage that was not started succeeds"
grep -q '^PATH=' "$work/environment" || { fail "no launcher was started"; cat "$work/launched.log"; }
grep -E '^(OPENBLAS_CORETYPE|ASTROCLIP_STARTED_AGAIN)=' "$work/environment" && fail "jobs are told this CPU's core"

# five bricks of one object each, across a corner of HEALPix pixels: pixels with one object, fewer rows than ranks, one row per volume and per group of ranks
few=(--set mock.objects=5 --set mock.per_brick=1 --set mock.dec=5 --set probe.min_rows=10)
make_sky "${few[@]}"
pixels=$(find "$work/sky" -name 'coadd-*.fits' | sed 's/.*-//' | sort -u | wc -l)
[ "$pixels" -ge 3 ] || fail "the objects are all in $pixels pixels"
chain alone 1 "${few[@]}"
chain many 7 "${few[@]}" --set embed.block_rows=1 --set embed.volume_rows=1 --set embed.ranks_per_volume=2
same_data alone many
n=$(rows_of many)
[ -n "$n" ] && [ "${n% *}" = "${n#* }" ] || fail "rows in and out of tables: '$n'"
[ "$(find "$work/many/embeddings" -name 'volume-*.h5' | wc -l)" -eq "${n% *}" ] || fail "${n% *} rows of one volume each are not as many volumes"

# volumes that end inside a pixel, and groups of ranks of unequal size
mapfile -t pixel < <(h5dump -y -d /HEALPIX "$work/alone/catalog.h5" | sed -n '/DATA {/,/}/{p;/}/q}' | tr -c '0-9\n' '\n' | grep -E '^[0-9]+$')
[ "${#pixel[@]}" -eq "${n% *}" ] || fail "${#pixel[@]} pixels of ${n% *} rows"
inside=0
for ((i = 2; i < ${#pixel[@]}; i += 2)); do [ "${pixel[i]}" = "${pixel[i - 1]}" ] && inside=$((inside + 1)); done
[ $inside -ge 1 ] || fail "no volume of two rows ends inside a pixel: ${pixel[*]}"
[ "$(printf '%s\n' "${pixel[@]}" | sort | uniq -u | wc -l)" -ge 1 ] || fail "no pixel has one object: ${pixel[*]}"
cp -r "$work/alone" "$work/groups"
rm -r "$work/groups/embeddings" "$work/groups/embeddings.h5"
stage embed groups 5 "${few[@]}" --set embed.volume_rows=2 --set embed.block_rows=2 --set embed.ranks_per_volume=3 --set run.max_rejected_fraction=1 > "$work/groups.log" 2>&1 ||
    { fail "embed in groups of ranks"; tail -5 "$work/groups.log"; }
verified groups
same_data alone groups

# no row passes the cuts: files without rows, and a warning
chain empty 3 "${few[@]}" --set catalog.z_min=90 --set catalog.z_max=95
grep -q 'no row is left' "$work/empty.log" || fail "no warning of an empty catalogue"
[ "$(rows_of empty)" = "0 0" ] || fail "rows of an empty catalogue: '$(rows_of empty)'"
fitsverify -q "$work/empty/properties.fits" | grep -q '^verification OK' || fail "fitsverify of a table without rows"
run empty 2 "${few[@]}" --set catalog.z_min=90 --set catalog.z_max=95 > "$work/again.log" 2>&1
[ "$(grep -c 'is current, nothing to do' "$work/again.log")" -eq 4 ] || fail "files without rows are not current"

# a redshift catalogue without rows, a coadd without targets
if "$python" -c 'import astropy' 2> /dev/null; then
    coadd=$(find "$work/sky" -name 'coadd-main-bright-*.fits' | sort | head -1)
    catalogue=$(find "$work/sky" -name 'zpix-main-dark.fits')
    "$python" - "$coadd" "$catalogue" << 'PYTHON'
import sys
from astropy.io import fits
for path in sys.argv[1:]:
    with fits.open(path, memmap=False) as f:
        hdus = []
        for h in f:
            if isinstance(h, fits.BinTableHDU):
                hdus.append(fits.BinTableHDU(h.data[:0], h.header))
            elif h.data is not None and h.data.ndim > 1: # no targets: an image without a second axis cannot be empty
                hdus.append(fits.ImageHDU(None, name=h.name))
            else:
                hdus.append(h.copy())
        fits.HDUList(hdus).writeto(path, overwrite=True)
PYTHON
    [ -n "$catalogue" ] || fail "no redshift catalogue of the dark program"
    chain hollow 2 "${few[@]}"
    grep -q 'spectrum_flag' "$work/hollow.log" || fail "the rows of the coadd without targets are not flagged"
    n=$(rows_of hollow)
    [ "${n% *}" = "${n#* }" ] && [ "${n% *}" -ge 1 ] || fail "rows in and out without a file's rows: '$n'"
else
    echo "no astropy: files without rows are not tried"
fi

if [ -n "${ASTROCLIP_LONG:-}" ]; then
    rm -rf "$work/sky"
    make_sky
    run small 2 > "$work/small.log" 2>&1 || fail "the chain on 2 ranks"
    for stage in catalog embed probe tables; do
        timeout 900 "$ASTROCLIP_MPIRUN" --allow-run-as-root --oversubscribe --bind-to none --quiet -n 64 "$ASTROCLIP_BIN" "$stage" "$yaml" "${roots[@]}" \
            --set "run.output=$work/crowd" --set embed.block_rows=3 > "$work/crowd.log" 2>&1 || { fail "$stage on 64 ranks"; tail -5 "$work/crowd.log"; }
    done
    same_data small crowd
fi
finish
