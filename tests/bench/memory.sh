#!/usr/bin/env bash
# memory.sh [OBJECTS [RANKS]]: does a rank take the memory that `astroclip check --plan` states? Runs the chain over a mock sky of OBJECTS (250) and of
# eight times as many on RANKS (2), samples the proportional set size (PSS, /proc/PID/smaps_rollup) of every rank, and prints the largest beside the
# statement. By hand: it takes minutes. Ends with 1 when
# statement and measurement are more than 10 % (and 4 MB, which buffers of MPI come and go by) apart.
. "$(dirname "$0")/../support/sky.sh"
objects=${1:-250}
ranks=${2:-2}
stages=(mock catalog embed probe tables)

python=${ASTROCLIP_PYTHON:-python3}
"$python" -c 'import os' || { echo "memory.sh wants a python3 (\$ASTROCLIP_PYTHON) to sample with"; exit 77; }
cat > "$work/watch.py" << 'PYTHON'
# watch.py FOLDER STOP: the largest PSS in bytes of a process astroclip that writes to FOLDER, until the file STOP is there
import os, sys, time
folder, stop = sys.argv[1:]
ranks, others, largest = set(), set(), 0
while not os.path.exists(stop):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if pid in others:
            continue
        try:
            if pid not in ranks:
                name = open(f"/proc/{pid}/comm").read().strip()
                if name in ("mpirun", "orterun", "bash", "timeout", "python3"): # may become astroclip, or its words name the folder
                    continue
                (ranks if name == "astroclip" and folder in open(f"/proc/{pid}/cmdline").read() else others).add(pid)
            if pid in ranks:
                for line in open(f"/proc/{pid}/smaps_rollup"):
                    if line.startswith("Pss:"):
                        largest = max(largest, 1024 * int(line.split()[1]))
        except OSError:
            ranks.discard(pid)
    time.sleep(0.005)
print(largest)
PYTHON

printf '%-8s %8s %6s %12s %12s %8s\n' stage objects ranks 'stated MB' 'measured MB' ratio
for n in "$objects" $((8 * objects)); do
    rm -rf "$work/sky" "$work/out"
    sizes=(--set "mock.objects=$n" --set mock.per_brick=125 --set "run.stages=[mock, catalog, embed, probe, tables]")
    for name in "${stages[@]}"; do
        stated=$("$ASTROCLIP_BIN" check "$yaml" "${roots[@]}" --set "run.output=$work/out" "${sizes[@]}" --plan 2> /dev/null |
            awk -F '\t' -v stage="$name" -v ranks="$ranks" '
                $1 == "stage" { for (i = 1; i <= NF; i++) at[$i] = i }
                $1 == stage { printf "%.0f", ($at["rank_bytes"] + $at["shared_bytes"] / ranks) / 1e6 }')
        rm -f "$work/pss.stop"
        "$python" "$work/watch.py" "$work/out" "$work/pss.stop" > "$work/pss" &
        watcher=$!
        if ! timeout 900 "$ASTROCLIP_MPIRUN" --allow-run-as-root --oversubscribe --bind-to none --quiet -n "$ranks" "$ASTROCLIP_BIN" "$name" "$yaml" "${roots[@]}" \
            --set "run.output=$work/out" "${sizes[@]}" > "$work/log" 2>&1; then
            fail "$name of $n objects"
            tail -3 "$work/log"
        fi
        touch "$work/pss.stop"
        wait $watcher
        measured=$(($(cat "$work/pss") / 1000000))
        printf '%-8s %8d %6d %12s %12d %8s\n' "$name" "$n" "$ranks" "$stated" "$measured" "$(awk -v a="$measured" -v b="${stated:-0}" 'BEGIN { printf "%.2f", b ? a / b : 0 }')"
        awk -v a="$measured" -v b="${stated:-0}" 'BEGIN { d = a > b ? a - b : b - a; exit !(d <= 0.1 * b + 4) }' || fail "$name of $n objects takes $measured MB of the ${stated:-?} MB stated"
    done
done
finish
