#!/usr/bin/env bash
# A new release embeds only what changed (`embed.reuse`), to the bits of a run that computed everything, and says what
# changed (the log, `astroclip compare`).
. "$(dirname "$0")/../support/sky.sh"

# embed_to OUTPUT RANKS [arguments...]: catalogue and embeddings, the log in OUTPUT.log
embed_to() {
    local output=$1 ranks=$2
    shift 2
    { stage catalog "$output" "$ranks" "$@" && stage embed "$output" "$ranks" "$@"; } > "$work/$output.log" 2>&1
}
compare() { "$ASTROCLIP_BIN" compare "$@"; }

# wants TEXT FILE: a line of the file matches
wants() { grep -qE "$1" "$2" || { fail "no line '$1' in $(basename "$2")"; grep -E 'embed|rows|error' "$2" | head -20; }; }
# number PATTERN FILE: what stands in its group
number() { sed -nE "s/.*$1.*/\\1/p" "$2" | head -1; }

# equal_bits A B: compare and h5diff agree that the embeddings are the same
equal_bits() {
    compare "$work/$1/embeddings.h5" "$work/$2/embeddings.h5" > "$work/compare.log" 2>&1 || { fail "compare: $1 and $2 differ"; tail -8 "$work/compare.log"; }
    h5diff --exclude-attribute / "$work/$1/embeddings.h5" "$work/$2/embeddings.h5" > /dev/null 2>&1 || fail "h5diff: $1 and $2 differ"
    [ ! -e "$work/$2/embeddings/reuse.h5" ] || fail "the plan of $2 was left behind"
}

make_sky --set mock.per_brick=48
bright=(--set 'release.spectra.programs=[main/bright]')
embed_to first 2 "${bright[@]}" || { fail "the first run"; tail -5 "$work/first.log"; finish; }

# nothing changed: other ranks, blocks and volumes
embed_to again 3 "${bright[@]}" --set "embed.reuse=$work/first" --set embed.block_rows=7 --set embed.volume_rows=30 || fail "a run over the same files"
equal_bits first again
wants 'embed: 0 files of spectra and images changed' "$work/again.log"
wants 'image of [1-9][0-9]* rows taken' "$work/again.log"
wants 'spectrum of [1-9][0-9]* rows taken' "$work/again.log"
grep -E 'taken' "$work/again.log" | grep -qE ' new|changed input|another place' && fail "a row counts as changed though nothing did"

# a new release: one coadd and one brick image changed, a program comes in, distant galaxies go
coadd=$(find "$work/sky/desi" -name 'coadd-main-bright-*.fits' -size +200k | sort | head -1)
at() { grep -abo -- "$1" "$coadd" | cut -d: -f1 | awk -v from="$2" '$1 > from { print; exit }'; }
[ "$(grep -abo "DATASUM = '" "$coadd" | wc -l)" -gt 10 ] || fail "the mock's coadds lack DATASUM"
header=$(at "EXTNAME = 'B_FLUX" 0)
sum=$(($(at "DATASUM = '" "$header") + 11))
data=$((($(at "END$(printf ' %.0s' {1..77})" "$header") + 2879) / 2880 * 2880))
digit=$(dd if="$coadd" bs=1 skip="$sum" count=1 2> /dev/null)
printf '%s' $((digit % 9 + 1)) | dd of="$coadd" bs=1 seek="$sum" conv=notrunc 2> /dev/null
for row in 0 1 2 3 4 5 6 7; do # pixel 1000 of the first spectra becomes about 32
    printf '\102\001' | dd of="$coadd" bs=1 seek=$((data + (row * 2751 + 1000) * 4)) conv=notrunc 2> /dev/null
done
image=$(find "$work/sky/legacy" -name '*-image-z.fits.fz' | sort | head -1 | sed s,-z.fits,-g.fits,) # not the brick without z
cp "${image%-g.fits.fz}-r.fits.fz" "$image"
release=(--set catalog.z_max=0.4)
embed_to fresh 2 "${release[@]}" || { fail "the new release, all computed"; tail -5 "$work/fresh.log"; }
embed_to new 3 "${release[@]}" --set "embed.reuse=$work/again" || { fail "the new release with reuse"; tail -5 "$work/new.log"; }
equal_bits fresh new
wants 'embed: 2 files of spectra and images changed' "$work/new.log"

# what the log says agrees with what compare finds
compare "$work/first/catalog.h5" "$work/new/catalog.h5" > "$work/catalog.diff"; code=$?
[ $code -eq 1 ] || fail "compare of catalogues that differ ends with $code"
wants '^  2 changed, [0-9]+ added, [0-9]+ dropped' "$work/catalog.diff"
wants '^  changed: spectra .*coadd-main-bright' "$work/catalog.diff"
compare "$work/first/embeddings.h5" "$work/new/embeddings.h5" --rows "$work/rows.csv" > "$work/embeddings.diff"; code=$?
[ $code -eq 1 ] || fail "compare of embeddings that differ ends with $code"
wants '^  image_embeddings +[1-9]' "$work/embeddings.diff"
wants '^  spectrum_embeddings +[1-9].*largest difference' "$work/embeddings.diff"
grep -q 'UNREADABLE' "$work/embeddings.diff" && fail "the changed coadd cannot be read"
wants 'config release.spectra.programs: \[main/bright\] -> \[\]' "$work/embeddings.diff"
added=$(number 'changed, ([0-9]+) added' "$work/embeddings.diff")
dropped=$(number 'added, ([0-9]+) dropped' "$work/embeddings.diff")
new=$(number 'image of .*: ([0-9]+) new' "$work/new.log")
[ "${added:-0}" -gt 0 ] && [ "${dropped:-0}" -gt 0 ] || fail "rows added '$added', dropped '$dropped': both were to happen"
[ "${new:-0}" -eq "${added:-0}" ] || fail "compare says $added rows came, the log $new"
[ "$(grep -c ',added,' "$work/rows.csv")" -eq "$added" ] || fail "--rows does not list the rows that came"
[ "$(grep -c ',dropped,' "$work/rows.csv")" -eq "$dropped" ] || fail "--rows does not list the rows that went"
for modality in image spectrum; do
    taken=$(number "$modality of ([0-9]+) rows taken" "$work/new.log")
    other=$(number "$modality of .* ([0-9]+) with new or changed input files" "$work/new.log")
    changed=$(number "^  ${modality}_embeddings +([0-9]+) rows" "$work/embeddings.diff")
    [ "${taken:-0}" -gt 0 ] || fail "no $modality was taken"
    [ "${changed:-0}" -gt 0 ] && [ "${changed:-0}" -le "${other:-0}" ] || fail "$changed rows changed their $modality, $other were computed for their files"
done

# what follows from the embeddings
for output in first new; do
    arguments=("${bright[@]}")
    [ $output = first ] || arguments=("${release[@]}")
    { stage probe $output 2 "${arguments[@]}" && stage tables $output 2 "${arguments[@]}"; } >> "$work/$output.log" 2>&1 || { fail "probe and tables of $output"; tail -5 "$work/$output.log"; }
done
for file in probes.h5 properties.fits; do
    compare "$work/new/$file" "$work/new/$file" > "$work/same.diff" || fail "compare of $file with itself"
    compare "$work/first/$file" "$work/new/$file" > "$work/$file.diff"; code=$?
    [ $code -eq 1 ] || { fail "compare of $file ends with $code"; tail -3 "$work/$file.diff"; }
done
wants 'ridge of z: R2 on test .* weights differ' "$work/probes.h5.diff"
wants "; [0-9]+ equal, [0-9]+ changed, $added added, $dropped dropped" "$work/properties.fits.diff"
wants '^  ZPRED_SPECTRUM +[1-9][0-9]* rows, largest difference' "$work/properties.fits.diff"

# cut off in the middle, continued with reuse
stage catalog cut 2 "${release[@]}" > "$work/cut.log" 2>&1
FAIL_POINT=embed.block:1 stage embed cut 2 "${release[@]}" --set embed.block_rows=10 --set "embed.reuse=$work/again" >> "$work/cut.log" 2>&1
stage embed cut 2 "${release[@]}" --set embed.block_rows=10 --set "embed.reuse=$work/again" >> "$work/cut.log" 2>&1 || { fail "the continued run"; tail -5 "$work/cut.log"; }
equal_bits fresh cut

# a rank that fails while planning ends the run, and leaves no plan
stage catalog failed 3 "${release[@]}" > "$work/failed.log" 2>&1
FAIL_POINT=embed.reuse:1 stage embed failed 3 "${release[@]}" --set "embed.reuse=$work/again" >> "$work/failed.log" 2>&1 && fail "a failure of one rank was passed over"
[ ! -e "$work/failed/embeddings/reuse.h5" ] || fail "a plan was left behind by a run that failed"

# a volume of the earlier run is gone: its rows are computed
rm "$work/again/embeddings/volume-00001.h5"
stage embed failed 3 "${release[@]}" --set "embed.reuse=$work/again" >> "$work/failed.log" 2>&1 || { fail "a run without one of the old volumes"; tail -5 "$work/failed.log"; }
wants "spectrum of [1-9][0-9]* rows taken.* [1-9][0-9]* not in the earlier run's volumes" "$work/failed.log"
equal_bits fresh failed

# another recipe: nothing of the modality is taken, one line says why, and the run goes on
embed_to weights 2 "${release[@]}" --set embed.weights_seed=778 --set "embed.reuse=$work/new" || fail "a run of other weights"
wants 'no embedding of image is taken .*: weights is [0-9a-f]+ here and [0-9a-f]+ there' "$work/weights.log"
wants 'no embedding of spectrum is taken .*: weights is' "$work/weights.log"
embed_to options 2 "${release[@]}" --set spectra.bad_pixels=released --set "embed.reuse=$work/new" || fail "a run of other options"
wants 'no embedding of spectrum is taken .*: spectra.bad_pixels is released here and zero there' "$work/options.log"
wants 'image of [1-9][0-9]* rows taken' "$work/options.log"

# folders that are no earlier run
mkdir -p "$work/empty"
stage embed options 2 "${release[@]}" --force --set "embed.reuse=$work/empty" > "$work/empty.log" 2>&1; code=$?
[ $code -eq 3 ] || fail "a folder without a run ends with $code"
wants 'embed.reuse wants the folder of an earlier run' "$work/empty.log"
stage embed new 2 "${release[@]}" --force --set "embed.reuse=$work/new" > "$work/own.log" 2>&1; code=$?
[ $code -eq 2 ] || fail "a run that would reuse itself ends with $code"
compare "$work/new/catalog.h5" "$work/new/embeddings.h5" > /dev/null 2>&1; code=$?
[ $code -eq 3 ] || fail "compare of two kinds of file ends with $code"
finish
