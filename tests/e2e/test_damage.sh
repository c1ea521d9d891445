#!/usr/bin/env bash
# Damaged artefacts: whatever byte of a finished file is changed, zeroed or missing, `inspect --verify` ends at once with a message that names a file, or
# says exactly what it says of the good file. No crash, no hang, no other numbers. DAMAGES=2000 [SEED=2] tests/e2e/test_damage.sh tries more, by hand.
. "$(dirname "$0")/../support/sky.sh"
damages=${DAMAGES:-90}
golden=${ASTROCLIP_GOLDEN:-${ASTROCLIP_SHARED:-../shared}/golden}
run whole 2 --set 'run.stages=[mock, catalog, embed, probe]' --set mock.objects=24 --set mock.per_brick=24 --set probe.min_rows=10 --set embed.block_rows=8 --set embed.volume_rows=16 \
    > "$work/run.log" 2>&1 || { fail "the chain"; tail -5 "$work/run.log"; finish; }
# what is damaged, and what is verified then: volumes also as what embeddings.h5 reads
pairs=("catalog.h5 catalog.h5" "embeddings.h5 embeddings.h5" "embeddings/volume-00000.h5 embeddings.h5" "embeddings/volume-00001.h5 embeddings/volume-00001.h5"
       "probes.h5 probes.h5")
if [ -s "$golden/astroclip_tiny.ckpt" ]; then
    printf 'import: {input: %s, output: %s}\n' "$golden/astroclip_tiny.ckpt" "$work/whole/tiny.ckpt.h5" > "$work/import.yaml"
    "$ASTROCLIP_BIN" import "$work/import.yaml" --set "run.output=$work/whole" > "$work/import.log" 2>&1 || { fail import; tail -3 "$work/import.log"; finish; }
    pairs+=("tiny.ckpt.h5 tiny.ckpt.h5")
fi

say() { timeout 20 "$ASTROCLIP_BIN" inspect "$1" --verify; }
declare -A good
for pair in "${pairs[@]}"; do
    good[$pair]=$(say "$work/whole/${pair#* }" 2>&1) || fail "the good ${pair#* } does not hold"
done
[ $failures -eq 0 ] || finish

RANDOM=${SEED:-1}
random() { echo $(((RANDOM << 30 | RANDOM << 15 | RANDOM) % $1)); }
hurt() { # FILE: says what was done
    local size at byte
    size=$(stat -c %s "$1")
    at=$(random "$size")
    [ $((RANDOM % 3)) -gt 0 ] || at=$(random $((size < 6000 ? size : 6000))) # where most of the metadata lies
    case $((RANDOM % 8)) in
    0) truncate -s "$at" "$1"; echo "cut to $at of $size bytes" ;;
    1) dd if=/dev/zero of="$1" bs=1 seek="$at" count=$((size - at < 512 ? size - at : 512)) conv=notrunc 2> /dev/null; echo "zeroed from $at" ;;
    2) byte=$(od -An -tu1 -j "$at" -N 1 "$1"); printf "\\$(printf %o $((255 - byte)))" | dd of="$1" bs=1 seek="$at" conv=notrunc 2> /dev/null
       echo "inverted $at" ;;
    *) flip "$1" "$at"; echo "flipped bit 2 of $at" ;;
    esac
}

refused=0 same=0
for ((i = 0; i < damages; i++)); do
    pair=${pairs[$((i % ${#pairs[@]}))]}
    file=$work/whole/${pair% *}
    cp "$file" "$work/kept"
    what=$(hurt "$file")
    said=$(say "$work/whole/${pair#* }" 2>&1)
    rc=$?
    if [ $rc -eq 3 ] && [[ $said == *"error (input): $work/whole/"* ]]; then
        refused=$((refused + 1))
    elif [ $rc -eq 0 ] && { [ "$said" = "${good[$pair]}" ] || [ "$said" = "$(grep -v 'checksum of all metadata' <<< "${good[$pair]}")" ]; }; then
        same=$((same + 1)) # the damage is in what nobody reads, or in the footer's mark
    else
        fail "${pair% *}, $what: exit code $rc"
        tail -3 <<< "$said"
    fi
    cp "$work/kept" "$file"
done
echo "$damages damages: $refused refused, $same without effect"
finish
