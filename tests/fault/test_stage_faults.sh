#!/usr/bin/env bash
# Every injection point that a stage comes by, in every stage of `astroclip list`: one message, the right exit code, no hang, no file with a final name that
# was not finished; over what several such failures left the stage is completed to the same bits. Points of one stage fail on each of three ranks, points
# that many stages share on one, another in each stage; with ASTROCLIP_LONG on each. With ASTROCLIP_BRIEF (sanitizer builds) all on one.
. "$(dirname "$0")/../support/sky.sh"
. "$(dirname "$0")/../support/stages.sh"
points=$(grep -rhoE 'FAIL_POINT\("[a-z0-9._]+"\)' pipeline stages | sed 's/.*"\(.*\)".*/\1/' | sort -u)
every_output good 2
blocks=(--set embed.block_rows=6 --set pack.block_rows=6)
reached=" "

# recover STAGE: it completes over what is there
recover() {
    stage "$1" hurt 2 "${tiny[@]}" "${blocks[@]}" "${its[@]}" > "$work/after.log" 2>&1 || { fail "$1 does not recover from $since"; tail -5 "$work/after.log"; }
    same_output good hurt "$1"
    without hurt "$1" good
    since=""
}

# hurt POINT RANK STAGE: over what earlier failures left. 1 when it did not come by.
hurt() {
    local point=$1 rank=$2 name=$3 code extra=()
    [ "$point" != embed.reuse ] || extra=(--set "embed.reuse=$work/good") # nobody comes by it otherwise
    FAIL_POINT=$point:$rank stage "$name" hurt 3 "${tiny[@]}" "${blocks[@]}" "${its[@]}" "${extra[@]}" > "$work/hurt.log" 2>&1
    code=$?
    if [ $code -eq 0 ]; then
        same_output good hurt "$name"
        without hurt "$name" good
        return 1
    fi
    since="$since$point on rank $rank, "
    [ $code -eq 4 ] || fail "$point on rank $rank in $name: exit code $code"
    [ "$(grep -c '^error (' "$work/hurt.log")" -eq 1 ] || { fail "$point on rank $rank in $name: not one message"; grep -A3 '^error' "$work/hurt.log"; }
    [ ! -e "$work/hurt/${made[$name]%% *}" ] || [ "$name" = mock ] || fail "$point on rank $rank: $name left ${made[$name]%% *}"
    finished_hold good hurt
}

# comes_by STAGE POINT: false where it is known that the stage does not; whether that is still so is for ASTROCLIP_LONG
comes_by() {
    local owner=${2%%.*}
    [ -z "${ASTROCLIP_LONG:-}" ] || owner=long
    case $owner.$1 in
    long.*) ;;
    torch.export) ;;
    torch.*) false ;;
    train.*)
        case $2.$1 in
        train.teach.train_image) ;;
        train.teach.*) false ;;
        *) [[ " $trainings baselines " == *" $1 "* ]] ;;
        esac
        ;;
    predictions.*) [ "$1" = probe ] ;;
    h5.tables | h5.report | h5.search | h5.export | h5.mock | artefact.report) false ;;
    *) [[ " $all_stages " != *" $owner "* || $owner = "$1" ]] && [[ $1 != mock || $2 = artefact.publish ]] ;;
    esac
}

[ -z "${ASTROCLIP_BRIEF:-}" ] || all_stages=${all_stages/mock /} # minutes under the sanitizers
turn=0
for name in $all_stages; do
    wants "$name" hurt
    without hurt "$name" good
    since=""
    for point in $points; do
        owner=${point%%.*}
        comes_by "$name" "$point" || continue
        ranks=(0 1 2)
        if [ -n "${ASTROCLIP_BRIEF:-}" ] || [[ -z ${ASTROCLIP_LONG:-} && $owner != "$name" ]]; then ranks=($((turn++ % 3))); fi
        for rank in "${ranks[@]}"; do
            if hurt "$point" "$rank" "$name"; then
                reached="$reached$point "
            elif [ "$rank" -ne 0 ] && [ ${#ranks[@]} -eq 1 ] && hurt "$point" 0 "$name"; then # the first rank alone comes by
                reached="$reached$point "
            fi
        done
    done
    [ -z "$since" ] || recover "$name"
done
for point in $points; do
    [[ $reached == *" $point "* ]] || echo "note: $point is not on the way of the stages"
done
finish
