#!/usr/bin/env bash
# dataset.h5 holds what the survey files hold (tests/e2e/oracle reads them again), whatever the ranks, the blocks and the interruptions; it is made again
# when what it depends on changes and at no other time; damage is found.
. "$(dirname "$0")/../support/sky.sh"
python=${ASTROCLIP_PYTHON:-}
make_sky --set mock.objects=48 --set mock.per_brick=48
run out 2 --set 'run.stages=[catalog, pack, embed]' > "$work/run.log" 2>&1 || { fail "the chain"; tail -5 "$work/run.log"; finish; }
grep -qE 'pack: ([0-9]+) rows in, \1 rows packed \+ 0 without' "$work/run.log" || { fail "the ledger"; grep 'rows in' "$work/run.log"; }
grep -q 'pack: spectrum_flag NO_FILE' "$work/run.log" || fail "the missing coadd is not in the counts"
no_parts out
if [ -n "$python" ] && "$python" -c 'import numpy, h5py, astropy' 2> /dev/null; then
    PYTHONDONTWRITEBYTECODE=1 "$python" tests/e2e/oracle "$work/out" --stages pack || fail "the two programs differ"
else
    echo "ASTROCLIP_PYTHON names no Python with h5py and astropy: not compared with the survey files"
fi
same() { h5diff --exclude-attribute / "$work/out/dataset.h5" "$work/$1/dataset.h5" > "$work/h5diff.log" 2>&1 || { fail "dataset.h5 of out and $1 differ"; head -3 "$work/h5diff.log"; }; }
holds() { "$ASTROCLIP_BIN" inspect "$1" --verify > "$work/inspect.log" 2>&1; }
holds "$work/out/dataset.h5" || { fail "inspect"; grep NOT "$work/inspect.log"; }

# other ranks, blocks, order
mkdir "$work/other"
cp "$work/out/catalog.h5" "$work/other/"
ASTROCLIP_SHUFFLE=5 stage pack other 3 --set pack.block_rows=11 > "$work/other.log" 2>&1 || { fail "pack on 3 ranks"; tail -5 "$work/other.log"; }
same other

# killed once some blocks are on disk; what one of them holds is damaged meanwhile; other ranks and blocks go on
mkdir "$work/cut"
cp "$work/out/catalog.h5" "$work/cut/"
part=$work/cut/dataset.h5.part
HANG_POINT=pack.block:0:0.1,pack.block:1:0.1 stage pack cut 2 --set pack.block_rows=6 > "$work/cut.log" 2>&1 &
finished() { "$ASTROCLIP_BIN" check "$yaml" "${roots[@]}" --set "run.output=$work/cut" --set 'run.stages=[pack]' --plan 2> /dev/null | sed -nE 's/^pack\t[^\t]*\t([0-9]+).*/\1/p'; }
for _ in $(seq 200); do
    n=0
    [ -e "$part" ] && n=$(finished)
    [ "${n:-0}" -ge 24 ] && break
    sleep 0.05
done
victim=$(pgrep -n -f "^[^ ]*astroclip pack .*run.output=$work/cut")
[ -z "$victim" ] || kill -9 "$victim"
wait
if [ -e "$work/cut/dataset.h5" ] || [ ! -e "$part" ]; then
    fail "the run was not interrupted"
else
    flip "$part" $(($(start "$part" /spectra/flux) + 40))
    flip "$part" $(($(start "$part" /images/pixels) + 40))
    stage pack cut 3 --set pack.block_rows=4 > "$work/resumed.log" 2>&1 || { fail "the run after the kill"; tail -5 "$work/resumed.log"; }
    grep -qE 'blocks written, [1-9][0-9]* kept' "$work/resumed.log" || { fail "no block was kept"; grep blocks "$work/resumed.log"; }
fi
same cut
no_parts cut

# a file that went away since the catalogue was made: nothing is published, and its blocks alone are made once it is back
mkdir "$work/lost"
cp "$work/out/catalog.h5" "$work/lost/"
file=$(find "$work/sky" -name 'coadd-main-bright-*.fits' -size -4000k | sort | head -1)
mv "$file" "$work/gone"
stage pack lost 2 --set pack.block_rows=5 > "$work/lost.log" 2>&1
[ $? -eq 3 ] && grep -q 'entries lack files that .*catalog.h5 saw' "$work/lost.log" && [ ! -e "$work/lost/dataset.h5" ] || { fail "pack without $file"; tail -3 "$work/lost.log"; }
mv "$work/gone" "$file"
stage pack lost 3 --set pack.block_rows=5 > "$work/lost.log" 2>&1 || { fail "pack with $file back"; tail -3 "$work/lost.log"; }
grep -qE ' [1-9][0-9]* blocks written, [1-9][0-9]* kept' "$work/lost.log" || { fail "not the blocks of $file alone"; grep blocks "$work/lost.log"; }
same lost

# when it is made again
again() { # WHAT EXPECTED arguments...: EXPECTED is part of a line
    stage pack other 2 "${@:3}" > "$work/again.log" 2>&1 || { fail "pack after: $1"; tail -5 "$work/again.log"; }
    grep -q "$2" "$work/again.log" || { fail "pack after: $1"; grep pack: "$work/again.log"; }
}
again "nothing" "is current, nothing to do"
again "another size of blocks" "is current, nothing to do" --set pack.block_rows=3
again "another mask" "wrote" --set spectra.max_masked_fraction=0.4
again "rows with both" "wrote" --set pack.rows=both
again "spectra alone" " 0 images" --set 'pack.modalities=[spectrum]'
h5ls "$work/other/dataset.h5" | grep -q images && fail "a table of images that nobody asked for"
holds "$work/other/dataset.h5" || { fail "inspect of spectra alone"; grep NOT "$work/inspect.log"; }
stage catalog other 2 --set catalog.test_fraction=0.4 > "$work/again.log" 2>&1 || fail "catalog with other splits"
again "other splits" "wrote"
cp "$work/out/catalog.h5" "$work/other/"
again "the first catalogue" "wrote" --force
same other
"$ASTROCLIP_BIN" pack "$yaml" "${roots[@]}" --set "run.output=$work/other" --dry-run > "$work/plan.log" 2>&1 || fail "the plan"
grep -qE 'pack: [0-9]+ of [0-9]+ rows; [1-9][0-9]* spectra, [1-9][0-9]* images, [0-9.e-]+ GB' "$work/plan.log" || { fail "the plan"; cat "$work/plan.log"; }

# one bit of the data, and inspect --verify says so
file=$work/other/dataset.h5
for place in /spectra/flux /images/pixels /spectra/flag /images/split /spectra/row /images/checksum /images/targetid; do
    cp "$file" "$work/kept"
    flip "$file" $(($(start "$file" $place) + 9))
    holds "$file" && fail "a flipped bit in $place goes unnoticed"
    grep -q 'DOES NOT HOLD' "$work/inspect.log" || { fail "a flipped bit in $place"; tail -3 "$work/inspect.log"; }
    mv "$work/kept" "$file"
done
finish
