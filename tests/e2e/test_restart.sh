#!/usr/bin/env bash
# A run that is cut off in the middle of `embed` continues with the blocks that are missing, on another number of ranks, to the same bits; a damaged
# block is found and computed again; a volume that went away is made again.
. "$(dirname "$0")/../support/sky.sh"
make_sky
blocks=(--set embed.block_rows=4 --set embed.batch=2)
run whole 2 "${blocks[@]}" > "$work/whole.log" 2>&1 || { fail "the undisturbed chain"; cat "$work/whole.log"; finish; }
stage catalog cut 2 > "$work/catalog.log" 2>&1 || fail "catalog"

# kill -9 of one rank once some blocks are on disk
stage embed cut 2 "${blocks[@]}" > "$work/cut.log" 2>&1 &
for _ in $(seq 200); do
    done_blocks=$(h5dump -d block_checksum -y "$work/cut/embeddings/volume-00000.h5.part" 2> /dev/null | tr -c '0-9\n' '\n' | grep -cE '^[0-9]{12,}$')
    [ "${done_blocks:-0}" -ge 3 ] && break
    [ -e "$work/cut/embeddings.h5" ] && break
    sleep 0.05
done
pkill -9 -n -f "astroclip embed .*run.output=$work/cut" || true
wait
if [ -e "$work/cut/embeddings.h5" ]; then
    echo "the machine was too quick to be interrupted: the run had ended"
else
    [ -e "$work/cut/embeddings/volume-00000.h5" ] && fail "a volume that was not finished bears a final name"
    run cut 3 "${blocks[@]}" > "$work/resumed.log" 2>&1 || { fail "the run after the kill"; cat "$work/resumed.log"; }
    grep -qE 'embed: .* blocks computed, [1-9][0-9]* kept' "$work/resumed.log" || { fail "no block was kept"; grep blocks "$work/resumed.log"; }
fi
same_data whole cut

# a byte of a finished block changes on disk before the volume is complete
mkdir -p "$work/hurt"
stage catalog hurt 2 > /dev/null 2>&1
FAIL_POINT=embed.block:1 stage embed hurt 2 --set embed.block_rows=40 > "$work/hurt.log" 2>&1 # leaves a .part, perhaps with blocks
part=$work/hurt/embeddings/volume-00000.h5.part
if [ -e "$part" ]; then
    size=$(stat -c %s "$part")
    printf '\377' | dd of="$part" bs=1 seek=$((size / 2)) conv=notrunc 2> /dev/null
fi
run hurt 2 --set embed.block_rows=40 > "$work/mended.log" 2>&1 || { fail "the run over a damaged volume"; tail -5 "$work/mended.log"; }
same_data whole hurt

# without its volumes embeddings.h5 reads as NaN: they are made again
rm "$work/hurt/embeddings/volume-00000.h5"
run hurt 2 --set embed.block_rows=40 > "$work/remade.log" 2>&1 || fail "the run without its volume"
same_data whole hurt

# volumes of an unfinished run of other sizes belong to nothing, and go
cp "$work/hurt/embeddings/volume-00000.h5" "$work/hurt/embeddings/volume-00007.h5"
cp "$work/hurt/embeddings/volume-00000.h5" "$work/hurt/embeddings/volume-00000.h5.part"
rm "$work/hurt/embeddings.h5"
run hurt 2 --set embed.block_rows=40 > "$work/rest.log" 2>&1 || fail "the run over volumes of other sizes"
[ "$(ls "$work/hurt/embeddings")" = volume-00000.h5 ] || fail "volumes of other sizes are left: $(ls "$work/hurt/embeddings")"
same_data whole hurt
finish
