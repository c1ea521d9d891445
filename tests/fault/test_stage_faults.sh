#!/usr/bin/env bash
# Every injection point, on every rank of three, in every stage that can reach it: one message, the right exit code, no hang, no file with a final
# name that was not finished; then the stage completes over what was left behind, to the same bits. With ASTROCLIP_BRIEF (sanitizer builds) on
# one of the ranks, another in each turn.
. "$(dirname "$0")/../support/sky.sh"
make_sky --set mock.objects=24 --set mock.per_brick=24
stages=(catalog embed probe tables)
declare -A final=([catalog]=catalog.h5 [embed]=embeddings.h5 [probe]=probes.h5 [tables]=properties.fits)
declare -A made=([catalog]=catalog.h5 [embed]="embeddings.h5 embeddings" [probe]="probes.h5 scores.csv" [tables]="properties.fits properties.fits.sha256sum")
small=(--set mock.objects=24 --set mock.per_brick=24 --set probe.min_rows=10 --set embed.block_rows=6)
points=$(grep -rhoE 'FAIL_POINT\("[a-z0-9._]+"\)' pipeline stages | sed 's/.*"\(.*\)".*/\1/' | sort -u)

run good 2 "${small[@]}" > "$work/good.log" 2>&1 || { fail "the undisturbed chain"; cat "$work/good.log"; finish; }

# hurt POINT RANK STAGE: the chain is there but for what STAGE makes; STAGE fails at POINT on RANK, then is run again
hurt() {
    local point=$1 rank=$2 name=$3 code file reuse=()
    [ "$point" != embed.reuse ] || reuse=(--set "embed.reuse=$work/good") # nobody comes by it otherwise
    rm -rf "$work/hurt"
    cp -r "$work/good" "$work/hurt"
    for file in ${made[$name]}; do rm -rf "${work:?}/hurt/$file"; done
    FAIL_POINT=$point:$rank stage "$name" hurt 3 "${small[@]}" "${reuse[@]}" > "$work/hurt.log" 2>&1
    code=$?
    [ $code -ne 0 ] || return 1 # this stage does not come by
    [ $code -eq 4 ] || fail "$point on rank $rank in $name: exit code $code"
    [ "$(grep -c '^error (' "$work/hurt.log")" -eq 1 ] || { fail "$point on rank $rank in $name: not one message"; grep -A3 '^error' "$work/hurt.log"; }
    [ ! -e "$work/hurt/${final[$name]}" ] || fail "$point on rank $rank: $name left ${final[$name]}"
    stage "$name" hurt 2 "${small[@]}" > "$work/after.log" 2>&1 || { fail "$name does not recover from $point on rank $rank"; cat "$work/after.log"; }
    same_data good hurt
}

turn=0
for point in $points; do
    reached=0
    for name in "${stages[@]}"; do
        owner=${point%%.*}
        [[ " ${stages[*]} " == *" $owner "* && $owner != "$name" ]] && continue # another stage's own point
        ranks=(0 1 2)
        [ -z "${ASTROCLIP_BRIEF:-}" ] || ranks=($((turn++ % 3)))
        for rank in "${ranks[@]}"; do
            if hurt "$point" "$rank" "$name"; then reached=1
            elif [ "$rank" -eq 0 ] && [ "$owner" != "$name" ]; then break # nor by the other ranks: it is not about shares of rows
            fi
        done
    done
    [ $reached -eq 1 ] || echo "note: $point is not on the way of these stages"
done
finish
