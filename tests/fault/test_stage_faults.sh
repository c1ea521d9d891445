#!/usr/bin/env bash
# Every injection point, on every rank of three, in every stage: one message, the right exit code, no hang, no file with a final name that was
# not finished; then the chain completes over what was left behind.
. "$(dirname "$0")/../support/sky.sh"
make_sky --set mock.objects=24 --set mock.per_brick=24
points=$(grep -rhoE 'FAIL_POINT\("[a-z0-9._]+"\)' pipeline stages | sed 's/.*"\(.*\)".*/\1/' | sort -u)
declare -A final=([catalog]=catalog.h5 [embed]=embeddings.h5 [probe]=probes.h5 [tables]=properties.fits)
small=(--set mock.objects=24 --set mock.per_brick=24 --set probe.min_rows=10 --set embed.block_rows=6)

run good 2 "${small[@]}" > "$work/good.log" 2>&1 || { fail "the undisturbed chain"; cat "$work/good.log"; finish; }
declare -A reached
for rank in 0 1 2; do
    for point in $points; do
        rm -rf "$work/hurt"
        mkdir -p "$work/hurt"
        for name in catalog embed probe tables; do
            FAIL_POINT=$point:$rank stage $name hurt 3 "${small[@]}" > "$work/hurt.log" 2>&1
            code=$?
            if [ $code -eq 0 ]; then continue; fi
            reached[$point]=1
            [ $code -eq 4 ] || fail "$point on rank $rank in $name: exit code $code"
            [ "$(grep -c '^error (' "$work/hurt.log")" -eq 1 ] || { fail "$point on rank $rank in $name: not one message"; grep -A3 '^error' "$work/hurt.log"; }
            [ ! -e "$work/hurt/${final[$name]}" ] || [ "$point" = artefact.folder ] || fail "$point on rank $rank: $name left ${final[$name]}"
            stage $name hurt 2 "${small[@]}" > "$work/after.log" 2>&1 || { fail "$name does not recover from $point on rank $rank"; cat "$work/after.log"; }
        done
        same_data good hurt
    done
done
for point in $points; do [ -n "${reached[$point]:-}" ] || echo "note: $point was never reached by these stages"; done
finish
