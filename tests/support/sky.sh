# sky.sh - sourced by shell tests: one small mock sky per test, commands on any number of ranks, comparison of artefacts.
# Sets: work (a folder, removed at the end), run (function), ranks_run (function), same_data (function), fail (function).
# Under ctest the environment names program and launcher; by hand the defaults do.
set -u
export OMPI_MCA_mpi_yield_when_idle=1 OPENBLAS_NUM_THREADS=1
ASTROCLIP_SOURCE=${ASTROCLIP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
ASTROCLIP_BIN=${ASTROCLIP_BIN:-$ASTROCLIP_SOURCE/build/release/astroclip}
ASTROCLIP_MPIRUN=${ASTROCLIP_MPIRUN:-mpirun}
cd "$ASTROCLIP_SOURCE" || exit 1
work=$(mktemp -d "${TMPDIR:-/tmp}/astroclip-e2e-XXXXXX")
trap 'rm -rf "$work"' EXIT
failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }

yaml=tests/e2e/small.yaml
roots=(--set "release.spectra.root=$work/sky/desi" --set "release.images.root=$work/sky/legacy" --set "release.labels=$work/sky/labels.hdf5")

# run OUTPUT RANKS [astroclip run arguments...]: the whole chain
run() {
    local output=$1 ranks=$2
    shift 2
    "$ASTROCLIP_BIN" run "$yaml" -n "$ranks" "${roots[@]}" --set "run.output=$work/$output" "$@"
}

# stage STAGE OUTPUT RANKS [arguments...]: one stage
stage() {
    local name=$1 output=$2 ranks=$3
    shift 3
    timeout 120 "$ASTROCLIP_MPIRUN" --allow-run-as-root --oversubscribe --bind-to none --quiet -n "$ranks" \
        "$ASTROCLIP_BIN" "$name" "$yaml" "${roots[@]}" --set "run.output=$work/$output" "$@"
}

# kept FOLDER COMMAND...: the command fills $work/FOLDER. Under ctest ($ASTROCLIP_KEPT) it does so once for each build of the program; later ones get a copy.
kept() {
    local folder=$1 place old
    shift
    [ -n "${ASTROCLIP_KEPT:-}" ] || { "$@"; return; }
    place=$ASTROCLIP_KEPT/$(md5sum < "$ASTROCLIP_BIN" | cut -c1-12)/$({ echo "$folder" "$@"; cat "$yaml"; } | md5sum | cut -c1-12)
    mkdir -p "${place%/*}"
    for old in "$ASTROCLIP_KEPT"/*/; do [ "$old" = "${place%/*}/" ] || rm -rf "$old"; done
    (
        flock 9
        if [ ! -d "$place" ]; then
            "$@" 9>&- || exit 1
            rm -rf "$place.new"
            cp -r "$work/$folder" "$place.new" && mv "$place.new" "$place"
        fi
    ) 9> "$place.lock" || return 1
    [ -d "$work/$folder" ] || cp -r "$place" "$work/$folder"
}

write_sky() { stage mock sky 2 "$@" > "$work/mock.log" 2>&1 || { cat "$work/mock.log"; return 1; }; }
make_sky() { kept sky write_sky "$@" || exit 1; }

# DATASUMs of all HDUs of a FITS file
datasums() { head -c 400000 "$1" | fold -w 80 | grep -a '^DATASUM' | cut -c1-30; }

# all DATASUMs of a FITS file, compressed or not
data_sums() { zcat -f "$1" | grep -ao "DATASUM = '[0-9]*" | tr -dc '0-9\n' | tr '\n' ' '; }

# file_sums FOLDER: names and DATASUMs of its files (checksum cards bear the time of writing); bytes where there are none; not the stamp of a mock sky,
# whose fingerprint has the folder in it
file_sums() {
    local file found
    (cd "$1" && find . -type f ! -name MOCK-SKY | sort | while read -r file; do
        found=$(data_sums "$file")
        echo "$file ${found:-$(cksum < "$file")}"
    done)
}

# same_data A B: the data of embeddings, probes and properties of two outputs are the same bits
same_data() {
    local file
    for file in catalog.h5 embeddings.h5 probes.h5; do
        h5diff --exclude-attribute / "$work/$1/$file" "$work/$2/$file" > "$work/h5diff.log" 2>&1 || { fail "$file of $1 and $2 differ"; head -5 "$work/h5diff.log"; }
    done
    cmp -s "$work/$1/scores.csv" "$work/$2/scores.csv" || fail "scores.csv of $1 and $2 differ"
    [ "$(datasums "$work/$1/properties.fits")" = "$(datasums "$work/$2/properties.fits")" ] || fail "data of properties.fits of $1 and $2 differ"
}

# flip FILE OFFSET: one bit of one byte
flip() {
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    printf "\\$(printf %o $((byte ^ 4)))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2> /dev/null
}
# start FILE DATASET: where the bytes of a dataset of an HDF5 file begin
start() { h5dump -p -H -d "$2" "$1" | sed -nE 's/.*OFFSET ([0-9]+).*/\1/p' | head -1; }

no_parts() { [ -z "$(find "$work/$1" -name '*.part')" ] || fail "partial files in $1: $(find "$work/$1" -name '*.part')"; }

finish() { [ $failures -eq 0 ] && echo "all properties hold"; exit $((failures > 0)); }
