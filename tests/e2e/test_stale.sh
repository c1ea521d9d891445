#!/usr/bin/env bash
# What a change re-runs, and what it leaves alone: settings, weights, input files; not touched files, moved roots, sizes of batches, another version of
# the program. What is current says so and is not touched.
. "$(dirname "$0")/../support/sky.sh"
make_sky --set mock.per_brick=48
run base 2 > "$work/base.log" 2>&1 || { fail "the first run"; tail -5 "$work/base.log"; finish; }

# rerun WHAT STAGES [arguments...]: over a copy of the first run, exactly these stages are done again, the others say that they are current
rerun() {
    local what=$1 expected=$2 name again=""
    shift 2
    rm -rf "$work/out"
    cp -rp "$work/base" "$work/out"
    run out 2 "$@" > "$work/run.log" 2>&1 || { fail "the run with $what"; tail -5 "$work/run.log"; return; }
    for name in catalog embed probe tables; do
        grep -q "\] $name: .*is current, nothing to do" "$work/run.log" || again="$again$name "
    done
    [ "${again% }" = "$expected" ] || fail "$what re-ran '${again% }', not '$expected'"
    "$ASTROCLIP_BIN" inspect "$work/out/embeddings.h5" --verify > "$work/inspect.log" || { fail "embeddings after $what"; tail -3 "$work/inspect.log"; }
}
times() { find "$work/$1" -type f -exec stat -c '%n %y' {} + | sort | sed 's/^[^ ]*\/'"$1"'//'; }

# ---- nothing ----

rerun "nothing" ""
[ "$(times base)" = "$(times out)" ] || fail "a second run touched files"
find "$work/sky" -type f -exec touch {} +
rerun "touched files" ""
rerun "sizes of batches and blocks" "" --set embed.batch=5 --set embed.block_rows=9 --set tables.chunk_rows=7
ASTROCLIP_SHUFFLE=5 rerun "another order of work" ""
mkdir "$work/elsewhere"
mv "$work/sky" "$work/elsewhere/sky"
rerun "moved roots" "" --set "release.spectra.root=$work/elsewhere/sky/desi" --set "release.images.root=$work/elsewhere/sky/legacy" --set "release.labels=$work/elsewhere/sky/labels.hdf5"
mv "$work/elsewhere/sky" "$work/sky"
cp -rp "$work/base" "$work/kept"
version=$("$ASTROCLIP_BIN" --version | sed -nE '1s/^astroclip ([0-9.]+) .*/\1/p')
python=${ASTROCLIP_PYTHON:-python3}
if "$python" -c 'import h5py' 2> /dev/null; then # HDF5 metadata bear a checksum, so that bytes cannot be patched
    for file in catalog.h5 embeddings.h5 probes.h5; do
        "$python" -c 'import sys, h5py
with h5py.File(sys.argv[1], "r+") as f: f.attrs["program_version"] = "9.9.9"' "$work/base/$file" || fail "$file does not bear the version of the program"
    done
fi
LC_ALL=C sed -i "s/${version//./\\.}/${version//[0-9]/9}/" "$work/base/properties.fits"
cmp -s "$work/base/properties.fits" "$work/kept/properties.fits" && fail "properties.fits does not bear the version of the program"
rerun "another version of the program" ""
rm -rf "$work/base"
mv "$work/kept" "$work/base"

# ---- settings ----

rerun "a setting of the probe" "probe tables" --set probe.ridge.folds=4
rerun "other weights" "embed probe tables" --set embed.weights_seed=778
h5diff "$work/base/embeddings.h5" "$work/out/embeddings.h5" /image_embeddings > /dev/null 2>&1 && fail "other weights left the embeddings as they were"
rerun "a cut" "catalog embed probe tables" --set catalog.z_max=0.4
rerun "--force" "catalog embed probe tables" --force
grep -qE 'embed: .*; [1-9][0-9]* blocks computed, 0 kept' "$work/run.log" || fail "--force kept blocks of embeddings"
same_data base out

# ---- input files ----

# change FILE...: as if written anew with other data: the last DATASUM of a FITS file is another one, other files end otherwise. restore takes it back.
change() {
    local file at digit
    for file; do
        cp -p "$file" "$work/original"
        changed=$file
        at=$(grep -abo -- "DATASUM = '[1-9]" "$file" | tail -1 | cut -d: -f1)
        if [ -n "$at" ]; then
            digit=$(dd if="$file" bs=1 skip=$((at + 11)) count=1 2> /dev/null)
            printf '%s' $((digit % 9 + 1)) | dd of="$file" bs=1 seek=$((at + 11)) conv=notrunc 2> /dev/null
        else
            printf 'x' >> "$file"
        fi
    done
}
restore() { cp -p "$work/original" "$changed"; }
first() { find "$work/sky" -name "$1" | sort | head -1; }
everything="catalog embed probe tables" not_embed="catalog probe tables"
for case in "coadd-main-bright-*.fits:$everything" "*-image-g.fits.fz:$everything" "tractor-*.fits:$not_embed" "zpix-main-bright.fits:$not_embed" "labels.hdf5:$not_embed"; do
    file=$(first "${case%%:*}")
    [ -n "$file" ] || { fail "no ${case%%:*} in the sky"; continue; }
    change "$file"
    rerun "a changed $(basename "$file")" "${case#*:}"
    case $file in
    *coadd-main*) modality=spectrum other=image ;;
    *-image-*) modality=image other=spectrum ;;
    *) modality="" ;;
    esac
    if [ -n "$modality" ]; then # only its rows are embedded again
        grep -qE "embed: $modality of [1-9][0-9]* rows taken .* [1-9][0-9]* with new or changed input files" "$work/run.log" ||
            { fail "a changed file of $modality: $(grep taken "$work/run.log")"; }
        grep -qE "embed: $other of [1-9][0-9]* rows taken from .*previous, of [0-9]+ computed" "$work/run.log" || fail "a changed file of $modality re-embedded each $other"
    fi
    [ ! -e "$work/out/previous" ] || fail "the earlier embeddings were left behind"
    restore
done
rerun "a file that was changed and put back" ""
rm -rf "$work/out"

# cut off while it embeds the rows of a changed file: what was there before serves the next run too
change "$(first "coadd-main-bright-*.fits")"
rm -rf "$work/out"
cp -rp "$work/base" "$work/out"
FAIL_POINT=embed.block:1 run out 2 --set embed.block_rows=20 > "$work/run.log" 2>&1 && fail "embed was not interrupted"
[ ! -e "$work/out/embeddings.h5" ] && [ -e "$work/out/previous/embeddings.h5" ] || fail "the earlier embeddings are not put aside"
run out 3 --set embed.block_rows=20 > "$work/run.log" 2>&1 || { fail "the run after the interruption"; tail -5 "$work/run.log"; }
grep -qE 'embed: image of [1-9][0-9]* rows taken' "$work/run.log" || fail "nothing was taken after an interruption"
h5diff --exclude-attribute / "$work/base/embeddings.h5" "$work/out/embeddings.h5" > /dev/null 2>&1 || fail "the embeddings after an interruption differ"
restore

# a file that vanishes and one that comes
file=$(first "coadd-main-bright-*.fits")
mv "$file" "$work/gone"
rerun "a coadd that vanished" "$everything"
mv "$work/gone" "$file"

# Files that are away from when the catalogue was made: their rows say so and are not current, however embed ended; once the files are back, their blocks
# alone are embedded, to the bits of a run that always had them. invvar files leave no other trace than that.
lossy() { stage embed out 2 --set embed.block_rows=8 --set embed.volume_rows=70 "$@" > "$work/run.log" 2>&1; }
for how in "finished *-invvar-r.fits.fz" "cut coadd-main-bright-*.fits" "failed *-image-z.fits.fz"; do
    file=$(first "${how#* }")
    rm -rf "$work/out"
    mkdir "$work/out"
    cp -p "$work/base/catalog.h5" "$work/out"
    mv "$file" "$work/gone"
    case ${how% *} in
    finished)
        lossy || { fail "embed without $file"; tail -3 "$work/run.log"; }
        grep -q 'rows lack files that the catalogue saw' "$work/run.log" || fail "embed does not tell that $file is gone"
        for name in probe tables; do stage $name out 2 > "$work/$name.log" 2>&1 || { fail "$name without $file"; tail -3 "$work/$name.log"; }; done
        "$ASTROCLIP_BIN" inspect "$work/out/embeddings.h5" --verify > "$work/inspect.log" || { fail "embeddings without $file"; tail -3 "$work/inspect.log"; }
        grep -q FILE_LOST "$work/inspect.log" || fail "inspect does not show FILE_LOST"
        lossy
        grep -qE 'embed: .*; [1-9][0-9]* blocks computed, [1-9][0-9]* kept' "$work/run.log" || { fail "embed is current although $file is gone"; tail -3 "$work/run.log"; }
        ;;
    cut) FAIL_POINT=artefact.publish:1 lossy && fail "embed was not cut off" ;;
    failed)
        lossy --set run.max_rejected_fraction=0
        [ $? -eq 3 ] || { fail "embed does not fail for rows of $file"; tail -3 "$work/run.log"; }
        ;;
    esac
    mv "$work/gone" "$file"
    run out 3 --set embed.block_rows=8 --set embed.volume_rows=70 > "$work/run.log" 2>&1 || { fail "the run with $file back"; tail -5 "$work/run.log"; }
    grep -q 'catalog: .*is current' "$work/run.log" || fail "the catalogue is not current with $file back"
    grep -qE 'embed: .*; [1-9][0-9]* blocks computed, [1-9][0-9]* kept' "$work/run.log" || { fail "${how% *}: not the blocks of $file alone"; grep 'rows in' "$work/run.log"; }
    same_data base out
    [ ! -e "$work/out/previous" ] || fail "the earlier embeddings were left behind"
    run out 2 > "$work/run.log" 2>&1
    grep -q 'embed: .*is current, nothing to do' "$work/run.log" || fail "embed goes on although $file is back"
done

# weights that are away
stage embed out 2 --set embed.weights="$work/none.ckpt.h5" > "$work/run.log" 2>&1
[ $? -eq 3 ] && [ "$(grep -c '^error (input): .*none.ckpt.h5: No such file' "$work/run.log")" -eq 1 ] || { fail "weights that are away"; tail -3 "$work/run.log"; }
[ -e "$work/out/embeddings.h5" ] || fail "embeddings went because weights are away"

# photometric redshifts lie beside the objects of the image survey
objects=(--set 'release.rows=[images]' --set 'release.images.regions=[south]' --set 'release.images.objects.max_mag_z=0')
stage catalog objects 2 "${objects[@]}" > "$work/objects.log" 2>&1 || { fail "a catalogue of objects"; tail -3 "$work/objects.log"; }
stage catalog objects 2 "${objects[@]}" > "$work/objects.log" 2>&1
grep -q 'catalog: .*is current' "$work/objects.log" || fail "the catalogue of objects is not current"
change "$(first '*-pz.fits')"
stage catalog objects 2 "${objects[@]}" > "$work/objects.log" 2>&1
grep -q 'catalog: .*is current' "$work/objects.log" && fail "changed photometric redshifts did not re-run the catalogue"
restore
finish
