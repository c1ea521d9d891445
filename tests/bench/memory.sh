#!/usr/bin/env bash
# memory.sh [sky|rows]...: does a rank take the memory that `astroclip check --plan` states? The largest proportional set size (PSS) of a rank beside the statement, at one size
# and at eight times that, as JSON lines: name, stated, measured, unit, ratio, stage, rows, ranks and, at the larger size, what each further row costs all ranks together. By hand: minutes
# each. Ends with 1 when a rank takes more than 110 % of the statement, or, at the larger size and where it has all of a stage's work to do, less than 90 %.
#
#   sky    the chain and the trainings over a mock sky of $OBJECTS (250) galaxies: what a stage takes whatever it does, and for images and spectra
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
# compare PART STAGE ROWS FIRST [arguments...]: one line; FIRST: the rows of the first size
compare() {
    local part=$1 name=$2 rows=$3 first=$4 said got before
    shift 4
    said=$(stated "$name" "$@")
    said=${said:-0}
    got=$(measured "$name" "$@")
    before=(${earlier[$part.$name]:-0 0})
    earlier[$part.$name]="$said $got"
    awk -v name="memory.$part.$name" -v stage="$name" -v s="$said" -v g="$got" -v s0="${before[0]}" -v g0="${before[1]}" -v ranks="$ranks" -v rows="$rows" -v first="$first" 'BEGIN {
        printf "{\"name\": \"%s\", \"stated\": %.1f, \"measured\": %.1f, \"unit\": \"MB\", \"ratio\": %.3f, \"stage\": \"%s\", \"rows\": %d, \"ranks\": %d", name, s / 1e6, g / 1e6, s ? g / s : 0, stage, rows, ranks
        if (rows > first && g0) printf ", \"stated_bytes_per_row\": %.0f, \"measured_bytes_per_row\": %.0f", ranks * (s - s0) / (rows - first), ranks * (g - g0) / (rows - first)
        print "}" }'
    awk -v a="$got" -v b="$said" -v least=$([ "$rows" -gt "$first" ] && [[ " $full " == *" $name "* ]] && echo 0.9 || echo 0) 'BEGIN { exit !(a > 0 && a <= 1.1 * b && a >= least * b) }' ||
        fail "$name of $rows rows takes $(megabytes "$got") MB of $(megabytes "$said") MB stated" >&2
}

if [[ $parts == *sky* ]]; then
    objects=${OBJECTS:-250}
    full='mock pack train_spectrum train_image align embed tables' # the others take what their rows take, or less (networks of residual blocks)
    stages='mock catalog pack train_spectrum train_image train_moco align embed baselines probe tables'
    training=(--set train_spectrum.steps=4 --set train_spectrum.batch=16 --set align.steps=4 --set align.batch=16 --set align.image=init --set train_image.steps=2 --set train_image.batch=8
        --set train_image.head_n_prototypes=4096 --set train_moco.steps=2 --set train_moco.batch=32 --set moco.backbone=resnet18 --set moco.width=16 --set 'baselines.models=[resnet18, pca_image]' --set baselines.epochs=1)
    for n in "$objects" $((8 * objects)); do
        rm -rf "$work/sky" "$work/out"
        for stage in $stages; do
            compare sky "$stage" "$n" "$objects" "${roots[@]}" "${training[@]}" --set "mock.objects=$n" --set mock.per_brick=125 --set "run.stages=[${stages// /, }]"
        done
    done
fi

if [[ $parts == *rows* ]]; then
    rows=${ROWS:-100000}
    full='catalog probe tables search' # embed reads no image
    for n in "$rows" $((8 * rows)); do
        rm -rf "$work/sky" "$work/out"
        "$python" tests/bench/rows.py sky "$work/sky" "$n" || { fail "rows.py" >&2; break; }
        for stage in catalog embed probe tables search; do
            compare rows "$stage" "$n" "$rows" --set "release.spectra.root=$work/sky/desi" --set "release.images.root=$work/sky/legacy" --set "release.labels=$work/sky/labels.hdf5" \
                --set run.max_rejected_fraction=1 --set embed.block_rows=4096 --set search.sample=4096 --set 'run.stages=[catalog, embed, probe, tables, search]'
            [ $stage = embed ] && "$python" tests/bench/rows.py fill "$work/out"
        done
    done
fi
exit $((failures > 0))
