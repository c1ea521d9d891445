#!/usr/bin/env bash
# Survey files to property table: the chain runs, accounts for every row, repeats nothing, and gives the same bits on any number of ranks.
. "$(dirname "$0")/../support/sky.sh"
make_sky

run two 2 > "$work/two.out" 2> "$work/two.log" || { fail "the chain on 2 ranks"; cat "$work/two.log"; finish; }
for file in catalog.h5 embeddings.h5 probes.h5 scores.csv properties.fits properties.fits.sha256sum; do
    [ -s "$work/two/$file" ] || fail "$file is missing"
done
no_parts two
grep -q 'spectrum_flag NO_FILE' "$work/two.log" || fail "the missing coadd is not in the counts"
grep -q 'image_flag MISSING_BAND' "$work/two.log" || fail "the missing band is not in the counts"
grep -q 'rejected NEGATIVE_TARGETID 3' "$work/two.log" || fail "negative TARGETIDs are not in the counts"
grep -q '^property' "$work/two.out" || fail "no table of scores at the end"
grep -q "$work/two/properties.fits" "$work/two.out" || fail "the end does not name properties.fits"

(cd "$work/two" && sha256sum --quiet -c properties.fits.sha256sum) || fail "sha256"
fitsverify -q "$work/two/properties.fits" | grep -q '^verification OK' || { fail "fitsverify"; fitsverify "$work/two/properties.fits" | tail -20; }
for file in catalog.h5 embeddings.h5 probes.h5 properties.fits; do
    "$ASTROCLIP_BIN" inspect "$work/two/$file" --verify > "$work/inspect.log" 2>&1 || { fail "inspect $file"; cat "$work/inspect.log"; }
done

# a second run does nothing and says so
before=$(find "$work/two" -type f -exec stat -c '%n %y' {} + | sort)
run two 2 > "$work/again.out" 2> "$work/again.log" || fail "the second run"
[ "$(grep -c 'is current, nothing to do' "$work/again.log")" -eq 4 ] || { fail "the second run did something"; cat "$work/again.log"; }
[ "$before" = "$(find "$work/two" -type f -exec stat -c '%n %y' {} + | sort)" ] || fail "the second run touched files"

# a changed probe setting leaves the embeddings alone
run two 2 --set probe.ridge.folds=4 > "$work/probe.out" 2> "$work/probe.log" || fail "the run with another probe setting"
grep -q 'embed: .*is current' "$work/probe.log" || fail "a probe setting re-embedded"
grep -q 'probe: .*is current' "$work/probe.log" && fail "a probe setting did not re-run the probe"
run two 2 > /dev/null 2>&1 || fail "back to the first setting"

# the same bits on other ranks, with other batches and blocks and volumes
run one 1 > "$work/one.out" 2> "$work/one.log" || fail "the chain on 1 rank"
run three 3 --set embed.batch=3 --set embed.block_rows=7 --set embed.volume_rows=40 > "$work/three.out" 2> "$work/three.log" || { fail "the chain on 3 ranks"; tail -20 "$work/three.log"; }
run four 4 --set embed.ranks_per_volume=2 --set embed.block_rows=16 --set embed.volume_rows=50 > "$work/four.out" 2> "$work/four.log" || { fail "the chain on 4 ranks"; tail -20 "$work/four.log"; }
for other in one three four; do same_data two $other; done

# more ranks than rows
run few 6 --set run.max_rejected_fraction=1 --set 'catalog.program=[dark]' --set 'run.stages=[catalog, embed]' > "$work/few.out" 2> "$work/few.log" || { fail "more ranks than rows"; tail -20 "$work/few.log"; }

# mistakes in the run file are found by any stage, all at once, before anything is computed
printf 'run: {seeed: 1}\nembed: {batch: 0, weights: x, batch: 3}\n' > "$work/bad.yaml"
"$ASTROCLIP_BIN" check "$work/bad.yaml" > "$work/bad.log" 2>&1
[ $? -eq 2 ] || fail "a bad run file does not end with exit code 2"
grep -q "did you mean 'seed'" "$work/bad.log" || { fail "no suggestion"; cat "$work/bad.log"; }
finish
