#!/usr/bin/env bash
# A job that is told to stop finishes the blocks in hand and leaves in time with code 8 on all ranks; the same command continues, to the same bits. By
# SIGUSR1, SIGTERM and SIGINT to `astroclip run`, SIGTERM to one rank, and the time limit; a second SIGTERM ends a stage that hangs.
. "$(dirname "$0")/../support/sky.sh"
. "$(dirname "$0")/../support/stages.sh"
every_output good 2
blocks=("${tiny[@]}" --set embed.block_rows=2 --set embed.batch=2)
slow=embed.block:0:0.2,embed.block:1:0.2 # seconds per block

# begin OUTPUT: the catalogue is there, `embed` of the chain has begun; $runner is the process
begin() {
    mkdir -p "$work/$1" && cp "$work/good/catalog.h5" "$work/$1/"
    HANG_POINT=${2:-$slow} "$ASTROCLIP_BIN" run "$yaml" -n 2 "${roots[@]}" --set "run.output=$work/$1" "${blocks[@]}" > "$work/$1.log" 2>&1 &
    runner=$!
    for _ in $(seq 200); do [ -e "$work/$1/embeddings/volume-00000.h5.part" ] && break; sleep 0.05; done
    sleep 0.7
}

# ended OUTPUT HOW: the end of it
ended() {
    local code before=$SECONDS
    wait "$runner"
    code=$?
    [ $code -eq 8 ] || { fail "$2: exit code $code"; cat "$work/$1.log"; }
    [ $((SECONDS - before)) -le 20 ] || fail "$2: took $((SECONDS - before)) s to stop"
    [ ! -e "$work/$1/embeddings.h5" ] || fail "$2: embeddings.h5 is there"
    [ ! -e "$work/$1/probes.h5" ] || fail "$2: the chain went on"
    [ ! -e "$work/$1/.astroclip.lock" ] || fail "$2: the lock is left"
}

for signal in USR1 TERM INT; do
    begin "$signal"
    kill -$signal $runner
    ended "$signal" "$signal"
    [ "$(grep -c '^error (interrupted)' "$work/$signal.log")" -eq 1 ] || { fail "$signal: not one message"; cat "$work/$signal.log"; }
    grep -q 'the same command continues' "$work/$signal.log" || fail "$signal: does not say how to go on"
    grep -qE 'embed: [1-9][0-9]* of [0-9]+ blocks are in' "$work/$signal.log" || fail "$signal: does not say what is done"
done
run USR1 3 "${blocks[@]}" > "$work/after.log" 2>&1 || { fail "the run after SIGUSR1"; tail -5 "$work/after.log"; }
grep -qE 'blocks computed, [1-9][0-9]* kept' "$work/after.log" || fail "no block was kept"
same_data good USR1

# trainings: the step in hand is finished, its state is kept
for name in $trainings; do
    wants "$name" train
    without train "$name" good
    HANG_POINT=train.step:0:0.3,train.step:1:0.3 run train 2 --set "run.stages=[$name]" "${its[@]}" > "$work/train.log" 2>&1 &
    runner=$!
    for _ in $(seq 400); do [ -e "$work/train/$name/state-00000001.h5" ] && break; sleep 0.05; done
    kill "-$([ "$name" = align ] && echo TERM || echo USR1)" "$(members train astroclip "astroclip run")"
    wait $runner
    code=$?
    [ $code -eq 8 ] || { fail "$name: exit code $code"; cat "$work/train.log"; }
    [ "$(grep -c '^error (interrupted)' "$work/train.log")" -eq 1 ] || { fail "$name: not one message"; cat "$work/train.log"; }
    finished_hold good train
    run train 3 --set "run.stages=[$name]" "${its[@]}" > "$work/train.log" 2>&1 || { fail "$name after the signal"; tail -5 "$work/train.log"; }
    grep -q "$name: goes on after step [12] of 3" "$work/train.log" || { fail "$name began anew"; cat "$work/train.log"; }
    same_output good train "$name"
done

# one rank alone
begin rank
victim=$(pgrep -n -f "^[^ ]*astroclip embed .*run.output=$work/rank")
kill -TERM "$victim"
ended rank "SIGTERM to one rank"

# twice, while a rank hangs
begin twice embed.block:1
kill -TERM $runner
sleep 0.5
before=$SECONDS
kill -TERM $runner
ended twice "SIGTERM twice"
[ $((SECONDS - before)) -le 8 ] || fail "a second SIGTERM took $((SECONDS - before)) s"

# the time limit of a stage
HANG_POINT=$slow stage embed TERM 2 "${blocks[@]}" --set run.time_limit_minutes=0.01 > "$work/limit.log" 2>&1
code=$?
[ $code -eq 8 ] || { fail "time limit: exit code $code"; cat "$work/limit.log"; }
grep -q 'time_limit_minutes have passed' "$work/limit.log" || fail "the time limit is not named"
finish
