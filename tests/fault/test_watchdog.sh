#!/usr/bin/env bash
# A rank that hangs ends its job, in user code and in a system call (a file that is a FIFO nobody writes to): after run.stall_minutes with code 9, its number
# and clock; after a request to stop within run.stop_seconds with code 8. Ranks do not outlive their launcher, `run` or mpirun. A live lock refuses
# others, however they were started, and names the holder; those of dead jobs are taken over. With ASTROCLIP_LONG more of the ways to start and to die.
. "$(dirname "$0")/../support/sky.sh"
. "$(dirname "$0")/../support/stages.sh"
every_output good 2
quick=("${tiny[@]}" --set run.stop_seconds=4 --set embed.block_rows=4)
for output in stop stall; do without $output embed good; done

# A launcher that does not end although its rank has, as Open MPI's does at times: in the background, `run` waits a while before it gives it up.
mkdir "$work/bin"
printf '#!/bin/sh\ntrue &\nexec sleep 300\n' > "$work/bin/mpirun"
chmod +x "$work/bin/mpirun"
PATH=$work/bin:$PATH run locked 2 "${tiny[@]}" > "$work/locked.log" 2>&1 &
locked=$!

# hang HOW OUTPUT STAGE POINT [arguments...]: in the background as $job, by `run` or by mpirun; returns when its ranks are there and the stage has begun
hang() {
    local how=$1 output=$2 name=$3 point=$4
    shift 4
    if [ "$how" = run ]; then
        HANG_POINT=$point run "$output" 2 --set "run.stages=[$name]" "${quick[@]}" "$@" > "$work/$output.log" 2>&1 &
    else
        HANG_POINT=$point "$ASTROCLIP_MPIRUN" --allow-run-as-root --oversubscribe --bind-to none --quiet -n 2 "$ASTROCLIP_BIN" "$name" "$yaml" "${roots[@]}" \
            --set "run.output=$work/$output" "${quick[@]}" "$@" > "$work/$output.log" 2>&1 &
    fi
    job=$!
    for _ in $(seq 400); do grep -q 'HDF5' "$work/$output.log" && [ -e "$work/$output/.astroclip.lock" ] && break; sleep 0.05; done
    sleep 0.3
}
# refused OUTPUT DOING: nobody else may write there, by `run` or by mpirun, but everybody may read
refused() {
    local how code
    for how in run stage; do
        if [ $how = run ]; then run "$1" 2 "${tiny[@]}" > "$work/second.log" 2>&1; else stage embed "$1" 2 "${tiny[@]}" > "$work/second.log" 2>&1; fi
        code=$?
        [ $code -eq 4 ] || fail "a second job ($how) on the folder: exit code $code"
        [ "$(grep -c "in use by another run: astroclip $2, process [0-9]* on " "$work/second.log")" -eq 1 ] || { fail "the holder is not named to $how"; cat "$work/second.log"; }
    done
    "$ASTROCLIP_BIN" inspect "$work/$1/catalog.h5" > /dev/null 2>&1 || fail "inspect beside a run"
}
# stopped OUTPUT WHAT: code 8, in time
stopped() {
    local code
    wait "$job"
    code=$?
    [ $code -eq 8 ] || { fail "$2: exit code $code"; cat "$work/$1.log"; }
    [ $((SECONDS - asked)) -le 12 ] || fail "$2: it took $((SECONDS - asked)) s to stop"
}

# ---- two jobs on one output; told to stop while rank 0 hangs ----
hang run stop embed embed.block:0
[ -n "$(members stop astroclip "astroclip embed")" ] || fail "no rank hangs"
refused stop run
kill -USR1 "$(members stop astroclip "astroclip run")"
asked=$SECONDS
stopped stop "told to stop while a rank hangs"
hang mpirun stop embed embed.block:0,embed.block:1
refused stop embed
kill -USR1 "$job"
asked=$SECONDS
stopped stop "mpirun told to stop while a rank hangs"

# ---- no sign of life ----
HANG_POINT=h5.write:1 stage embed stall 3 "${quick[@]}" --set run.stall_minutes=0.06 > "$work/stall.log" 2>&1
code=$?
[ $code -eq 9 ] || { fail "a rank that hangs: exit code $code"; cat "$work/stall.log"; }
[ "$(grep -c '^error (stalled): rank 1 of 3' "$work/stall.log")" -eq 1 ] || { fail "the rank that hangs is not named once"; cat "$work/stall.log"; }
stage embed stall 2 "${quick[@]}" > "$work/after.log" 2>&1 || { fail "the run after the stall"; cat "$work/after.log"; }
grep -q 'its holder is gone' "$work/after.log" || fail "the lock of the dead job was not taken over, or nobody said so"
same_output good stall embed

# ---- a reader blocked on a FIFO ----
# what is read as data is refused or flagged at once
mkfifo "$work/fifo"
for name in catalog import; do
    mkdir "$work/fifo_$name"
    timeout 60 "$ASTROCLIP_BIN" $name "$yaml" "${roots[@]}" --set "run.output=$work/fifo_$name" --set "release.labels=$work/fifo" --set "import.input=$work/fifo" > "$work/fifo.log" 2>&1
    code=$?
    [ $code -eq 3 ] && grep -q "^error (input): $work/fifo" "$work/fifo.log" || { fail "a FIFO for $name: exit code $code"; cat "$work/fifo.log"; }
done
cp -r "$work/good/sky/desi" "$work/desi"
coadd=$(find "$work/desi" -name 'coadd-main-bright-*.fits' | sort | head -1)
rm "$coadd"
mkfifo "$coadd"
without flagged embed good
timeout 60 "$ASTROCLIP_BIN" embed "$yaml" "${roots[@]}" "${quick[@]}" --set "run.output=$work/flagged" --set "release.spectra.root=$work/desi" --set run.max_rejected_fraction=1 > "$work/fifo.log" 2>&1 ||
    { fail "a FIFO for a coadd: exit code $?"; tail -5 "$work/fifo.log"; }
grep -q 'is not a regular file' "$work/fifo.log" || fail "a FIFO for a coadd is not named"
# what remains is the stamp of a mock sky: rank 0 waits in open(2) for a writer
mkdir -p "$work/blocked/desi"
mkfifo "$work/blocked/desi/MOCK-SKY"
blocked=(--set "release.spectra.root=$work/blocked/desi" --set "release.images.root=$work/blocked/legacy")
run pipe 2 "${quick[@]}" "${blocked[@]}" --set 'run.stages=[mock]' --set run.stall_minutes=0.06 > "$work/pipe.log" 2>&1
code=$?
[ $code -eq 9 ] || { fail "a reader blocked on a FIFO: exit code $code"; cat "$work/pipe.log"; }
[ "$(grep -c '^error (stalled): rank 0 of 2' "$work/pipe.log")" -eq 1 ] || { fail "the blocked rank is not named"; cat "$work/pipe.log"; }
for how in run ${ASTROCLIP_LONG:+mpirun}; do
    hang $how "told_$how" mock none "${blocked[@]}"
    if [ $how = run ]; then kill -USR1 "$(members "told_$how" astroclip "astroclip run")"; else kill -USR1 "$job"; fi
    asked=$SECONDS
    stopped "told_$how" "told to stop while a reader is blocked, by $how"
done

# ---- the launcher dies: so do its ranks, even those that hang ----
ways=("run run" "mpirun mpirun")
[ -z "${ASTROCLIP_LONG:-}" ] || ways+=("run mpirun")
for way in "${ways[@]}"; do
    read -r how victim <<< "$way"
    rm -rf "$work/orphan"
    without orphan embed good
    hang "$how" orphan embed embed.block:0
    if [ "$victim" = run ]; then pid=$(members orphan astroclip "astroclip run"); else pid=$(members orphan "$launchers" "astroclip embed"); fi
    [ -n "$pid" ] || { fail "no $victim to kill" && finish; }
    kill -KILL $pid
    wait "$job" 2> /dev/null
    for _ in $(seq 200); do [ -z "$(members orphan astroclip "")$(members orphan "$launchers" "")" ] && break; sleep 0.05; done
    [ -z "$(members orphan astroclip "")$(members orphan "$launchers" "")" ] || { fail "ranks outlive $victim of $how by 10 s"; kill -KILL $(members orphan astroclip ""); }
done
stage embed orphan 3 "${quick[@]}" > "$work/after.log" 2>&1 || { fail "the run after its launcher's death"; tail -5 "$work/after.log"; }
same_output good orphan embed

wait $locked
code=$?
[ $code -eq 9 ] && grep -q 'mpirun does not end though its ranks have ended' "$work/locked.log" || { fail "a launcher that hangs: exit code $code"; cat "$work/locked.log"; }
finish
