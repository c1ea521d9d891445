#!/usr/bin/env bash
# A rank that hangs ends its job: after run.stall_minutes with code 9, its number and clock; after a request to stop within 20 s with code 8. The locks of
# killed jobs are taken over, a live one refuses and names the holder.
. "$(dirname "$0")/../support/sky.sh"
make_sky --set mock.objects=24 --set mock.per_brick=24
for output in stop stall; do stage catalog $output 2 > "$work/catalog.log" 2>&1 || fail "catalog"; done

# told to stop while rank 0 hangs: in the background, it takes its 18 s
HANG_POINT=embed.block:0 "$ASTROCLIP_BIN" run "$yaml" -n 2 "${roots[@]}" --set "run.output=$work/stop" > "$work/stop.log" 2>&1 &
stopped=$!
for _ in $(seq 200); do [ -e "$work/stop/embeddings/volume-00000.h5.part" ] && break; sleep 0.05; done
sleep 0.5
kill -USR1 $stopped
asked=$SECONDS

# meanwhile nobody else may write there, but everybody may read
"$ASTROCLIP_BIN" run "$yaml" -n 2 "${roots[@]}" --set "run.output=$work/stop" > "$work/second.log" 2>&1
code=$?
[ $code -eq 4 ] || fail "a second run on the folder: exit code $code"
grep -q "in use by another run: astroclip run, process $stopped on " "$work/second.log" || { fail "the holder is not named"; cat "$work/second.log"; }
"$ASTROCLIP_BIN" inspect "$work/stop/catalog.h5" > /dev/null 2>&1 || fail "inspect beside a run"
"$ASTROCLIP_BIN" check "$yaml" "${roots[@]}" --set "run.output=$work/stop" > /dev/null 2>&1 || fail "check beside a run"

# no sign of life
HANG_POINT=h5.write:1 stage embed stall 3 --set run.stall_minutes=0.03 --set embed.block_rows=4 > "$work/stall.log" 2>&1
code=$?
[ $code -eq 9 ] || { fail "a rank that hangs: exit code $code"; cat "$work/stall.log"; }
[ "$(grep -c '^error (stalled): rank 1 of 3' "$work/stall.log")" -eq 1 ] || { fail "the rank that hangs is not named once"; cat "$work/stall.log"; }
stage embed stall 2 > "$work/after.log" 2>&1 || { fail "the run after the stall"; cat "$work/after.log"; }
grep -q 'its holder is gone' "$work/after.log" || fail "the lock of the dead job was not taken over, or nobody said so"
[ ! -e "$work/stall/.astroclip.lock" ] || fail "the lock is left behind"

wait $stopped
code=$?
[ $code -eq 8 ] || { fail "told to stop while a rank hangs: exit code $code"; cat "$work/stop.log"; }
[ $((SECONDS - asked)) -le 24 ] || fail "it took $((SECONDS - asked)) s to stop"
finish
