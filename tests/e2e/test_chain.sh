#!/usr/bin/env bash
# Survey files to property table: the chain runs, accounts for every row, and says what is wrong with a run file. (Same answer, stale outputs and
# edges have tests of their own.)
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
grep -q '^source .* method .* z ' "$work/two.out" || fail "no table of scores at the end"
grep -q "$work/two/properties.fits" "$work/two.out" || fail "the end does not name properties.fits"

(cd "$work/two" && sha256sum --quiet -c properties.fits.sha256sum) || fail "sha256"
fitsverify -q "$work/two/properties.fits" | grep -q '^verification OK' || { fail "fitsverify"; fitsverify "$work/two/properties.fits" | tail -20; }
for file in catalog.h5 embeddings.h5 probes.h5 properties.fits; do
    "$ASTROCLIP_BIN" inspect "$work/two/$file" --verify > "$work/inspect.log" 2>&1 || { fail "inspect $file"; cat "$work/inspect.log"; }
done

# the page: all that it names is there, nothing is left empty, and it is not written again
cp "$work/sky/truth.fits" "$work/two/"
stage report two 2 > "$work/report.log" 2>&1 || { fail "the report"; tail -5 "$work/report.log"; }
page=$work/two/report/index.html
shown=$(grep -oE '(src|href)="[^"]*"' "$page" | sed 's/.*="\(.*\)"/\1/' | sort -u)
for file in $shown; do
    if [ "${file#\#}" != "$file" ]; then grep -q "id=\"${file#\#}\"" "$page" || fail "the report links to $file, which is not in it"; continue; fi
    [ -s "$work/two/report/$file" ] || fail "the report names $file, which is not there"
done
[ "$(grep -c '\.png$' <<< "$shown")" -ge 10 ] || fail "few galaxies in the report: $shown"
grep -q '^spectrum-.*\.csv$' <<< "$shown$(cd "$work/two/report" && printf '\n%s' *)" || fail "no spectra in the report"
for text in 'MISSING_BAND' 'photometry' 'A mock sky of'; do grep -q "$text" "$page" || fail "the report does not say: $text"; done
grep -qE 'https?:|nan|inf<' "$page" && fail "the report has links into the network, or values that are none"
stage report two 1 2>&1 | grep -q 'is current' || fail "the report is written again"

# one flipped bit in the data of each file, and inspect --verify says so
volume=embeddings/volume-00000.h5
for place in catalog.h5:/Z catalog.h5:/rejected/ROW catalog.h5:/labels/age "$volume:/image_embeddings" "$volume:/spectrum_flag" "$volume:/ra" \
    probes.h5:/astroclip_image/ridge/z/weight probes.h5:/astroclip_both/mean properties.fits:; do
    file=$work/two/${place%%:*}
    looked=$file
    [ "$file" = "$work/two/$volume" ] && looked=$work/two/embeddings.h5
    cp "$file" "$work/kept"
    if [ "${file##*.}" = fits ]; then at=$(($(stat -c %s "$file") / 2)); else at=$(($(start "$file" "${place#*:}") + 9)); fi
    flip "$file" "$at"
    cmp -s "$file" "$work/kept" && fail "nothing was flipped in $place"
    "$ASTROCLIP_BIN" inspect "$looked" --verify > "$work/inspect.log" 2>&1
    code=$?
    [ $code -eq 3 ] && grep -q 'DOES NOT HOLD' "$work/inspect.log" || { fail "a flipped bit in $place: exit code $code"; tail -3 "$work/inspect.log"; }
    case $place in catalog.h5:/Z | probes.h5:/astroclip_both/mean) # who reads it says so, too
        stage tables two 2 --force > "$work/tables.log" 2>&1
        [ $? -eq 3 ] && grep -q "${file##*/} is damaged: its checksum" "$work/tables.log" || { fail "tables with a flipped bit in $place"; tail -3 "$work/tables.log"; } ;;
    esac
    cp "$work/kept" "$file"
    "$ASTROCLIP_BIN" inspect "$looked" --verify > "$work/inspect.log" 2>&1 || fail "flipped back, $place does not hold"
done

# mistakes in the run file are found by any stage, all at once, before anything is computed
printf 'run: {seeed: 1}\nembed: {batch: 0, weights: x, batch: 3}\n' > "$work/bad.yaml"
"$ASTROCLIP_BIN" check "$work/bad.yaml" > "$work/bad.log" 2>&1
[ $? -eq 2 ] || fail "a bad run file does not end with exit code 2"
grep -q "did you mean 'seed'" "$work/bad.log" || { fail "no suggestion"; cat "$work/bad.log"; }
finish
