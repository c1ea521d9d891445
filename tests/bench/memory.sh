#!/usr/bin/env bash
# memory.sh [sky|rows]...: does a rank take the memory that `astroclip check --plan` states? Prints the largest proportional set size (PSS) of a rank beside the statement, at one size
# and at eight times that, and what each further row costs. By hand: `sky` takes minutes, `rows` one. Ends with 1 when statement and measurement are more than 10 % apart.
#
#   sky    the chain over a mock sky of $OBJECTS (250) galaxies: what a stage takes whatever it does, and for images and spectra
#   rows   the stages of $ROWS (100000) rows without spectra and images (rows.py): what grows with the rows
#
# $RANKS (2) ranks. PSS is sampled while all ranks run: what is a rank's own, its part of shared memory, and programs and libraries divided among the ranks, whoever else on the machine
# runs them too. A peak between two samples shows in the largest resident size that the kernel keeps (VmHWM): where that grew, PSS is taken to have been as much higher.
. "$(dirname "$0")/../support/sky.sh"
parts=${*:-sky rows}
ranks=${RANKS:-2}
python=${ASTROCLIP_PYTHON:-python3}
"$python" -c 'import numpy, astropy, h5py' || { echo "memory.sh wants a python3 (\$ASTROCLIP_PYTHON) with numpy, astropy, h5py"; exit 77; }
cat > "$work/watch.py" << 'PYTHON'
# watch.py FOLDER RANKS STOP: the largest PSS in bytes of a rank that writes to FOLDER, until the file STOP is there
import os, sys, time
folder, wanted, stop = sys.argv[1], int(sys.argv[2]), sys.argv[3]
ranks, others, largest, high = set(), set(), 0, {}

def kilobytes(path):
    with open(path) as f:
        return {line.split(":")[0]: int(line.split()[1]) for line in f if line.endswith("kB\n")}

def peak(pid):
    here, shared = kilobytes(f"/proc/{pid}/status"), kilobytes(f"/proc/{pid}/smaps_rollup")["Pss_Shmem"]
    before, high[pid] = high.get(pid, 0), here["VmHWM"]
    missed = here["VmHWM"] - here["VmRSS"] if high[pid] > before else 0
    return here["RssAnon"] + here["RssFile"] / wanted + shared + missed

while not os.path.exists(stop):
    for pid in set(filter(str.isdigit, os.listdir("/proc"))) - ranks - others:
        try:
            name = open(f"/proc/{pid}/comm").read().strip()
            if name in ("mpirun", "orterun", "bash", "timeout", "python3"): # may become astroclip, or its words name the folder
                continue
            (ranks if name == "astroclip" and folder in open(f"/proc/{pid}/cmdline").read() else others).add(pid)
        except OSError:
            pass
    try:
        peaks = [peak(pid) for pid in ranks]
        if len(peaks) == wanted and all("VmRSS" in kilobytes(f"/proc/{pid}/status") for pid in ranks):
            largest = max(largest, int(1024 * max(peaks)))
    except (OSError, KeyError): # one is gone: what ranks share is no longer shared by all
        pass
    time.sleep(0.005)
print(largest)
PYTHON

# megabytes BYTES
megabytes() { awk -v b="$1" 'BEGIN { printf "%.1f", b / 1e6 }'; }

# stated STAGE [arguments...]: bytes per rank in the plan
stated() {
    "$ASTROCLIP_BIN" check "$yaml" --set "run.output=$work/out" "${@:2}" --plan 2> /dev/null | awk -F '\t' -v stage="$1" -v ranks="$ranks" '
        $1 == "stage" { for (i = 1; i <= NF; i++) at[$i] = i }
        $1 == stage { printf "%.0f", $at["rank_bytes"] + $at["shared_bytes"] / ranks }'
}

# measured STAGE [arguments...]: runs it; the same of /proc
measured() {
    local watcher
    rm -f "$work/stop"
    "$python" "$work/watch.py" "$work/out" "$ranks" "$work/stop" > "$work/pss" &
    watcher=$!
    timeout 900 "$ASTROCLIP_MPIRUN" --allow-run-as-root --oversubscribe --bind-to none --quiet -n "$ranks" "$ASTROCLIP_BIN" "$1" "$yaml" \
        --set "run.output=$work/out" "${@:2}" > "$work/log" 2>&1 || { fail "$1"; tail -3 "$work/log"; } >&2
    touch "$work/stop"
    wait $watcher
    cat "$work/pss"
}

declare -A earlier # bytes stated and measured at the first size
# compare STAGE ROWS FIRST [arguments...]: one line; with the rows of the first size, what a row costs (bytes of all ranks together)
compare() {
    local name=$1 rows=$2 first=$3 said got slope='' before
    shift 3
    said=$(stated "$name" "$@")
    got=$(measured "$name" "$@")
    before=(${earlier[$name]:-})
    [ "$rows" -gt "$first" ] && [ ${#before[@]} -eq 2 ] && slope=$(awk -v s="$said" -v g="$got" -v s0="${before[0]}" -v g0="${before[1]}" -v r="$ranks" -v n=$((rows - first)) \
        'BEGIN { printf "%9.0f %9.0f", r * (s - s0) / n, r * (g - g0) / n }')
    earlier[$name]="$said $got"
    printf '%-8s %8d %6d %10s %12s %8s %s\n' "$name" "$rows" "$ranks" "$(megabytes "$said")" "$(megabytes "$got")" "$(awk -v a="$got" -v b="${said:-0}" 'BEGIN { printf "%.2f", b ? a / b : 0 }')" "$slope"
    awk -v a="$got" -v b="${said:-0}" -v least=$([ "$rows" -gt "$first" ] && [[ $full == *$name* ]] && echo 0.9 || echo 0) 'BEGIN { exit !(a > 0 && a <= 1.1 * b && a >= least * b) }' ||
        fail "$name of $rows rows takes $(megabytes "$got") MB of $(megabytes "${said:-0}") MB stated"
}

heading() { printf '\n%s\n%-8s %8s %6s %10s %12s %8s %19s\n' "$1" stage rows ranks 'stated MB' 'measured MB' ratio 'bytes/row: stated, measured'; }

if [[ $parts == *sky* ]]; then
    objects=${OBJECTS:-250}
    full='mock embed tables' # the others take what their rows take
    heading 'a mock sky'
    for n in "$objects" $((8 * objects)); do
        rm -rf "$work/sky" "$work/out"
        for stage in mock catalog embed probe tables; do
            compare $stage "$n" "$objects" "${roots[@]}" --set "mock.objects=$n" --set mock.per_brick=125 --set "run.stages=[mock, catalog, embed, probe, tables]"
        done
    done
fi

if [[ $parts == *rows* ]]; then
    rows=${ROWS:-100000}
    earlier=()
    full='catalog probe tables' # embed reads no image
    heading 'rows alone'
    for n in "$rows" $((8 * rows)); do
        rm -rf "$work/sky" "$work/out"
        "$python" tests/bench/rows.py sky "$work/sky" "$n" || { fail "rows.py"; break; }
        for stage in catalog embed probe tables; do
            compare $stage "$n" "$rows" --set "release.spectra.root=$work/sky/desi" --set "release.images.root=$work/sky/legacy" --set "release.labels=$work/sky/labels.hdf5" \
                --set run.max_rejected_fraction=1 --set embed.block_rows=4096
            [ $stage = embed ] && "$python" tests/bench/rows.py fill "$work/out"
        done
    done
fi
finish
