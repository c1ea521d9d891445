# stages.sh - sourced after sky.sh by the tests that go through every stage of `astroclip list`: what a stage makes, what it is started with, whether two
# outputs hold the same. A stage of the table that has no line in `made` makes those tests fail.

declare -A made=( # in run.output, besides what the stage only touches
    [mock]="sky truth.fits"
    [import]="astroclip.ckpt.h5"
    [catalog]="catalog.h5"
    [pack]="dataset.h5"
    [embed]="embeddings.h5 embeddings"
    [probe]="probes.h5 scores.csv"
    [tables]="properties.fits properties.fits.sha256sum"
    [search]="matches.fits"
    [report]="report"
    [export]="astroclip.ckpt"
    [train_spectrum]="spectrum.ckpt.h5 train_spectrum"
    [train_image]="image.ckpt.h5 train_image"
    [train_moco]="moco.ckpt.h5 train_moco"
    [baselines]="baselines.h5 baselines"
    [align]="aligned.ckpt.h5 retrieval.csv align"
)
tiny=(--set mock.objects=24 --set mock.per_brick=24 --set probe.min_rows=10) # of all stages
golden=${ASTROCLIP_GOLDEN:-${ASTROCLIP_SHARED:-../shared}/golden}

list=$("$ASTROCLIP_BIN" list | sed -nE 's/^([a-z_]+) .*/\1/p' | tr '\n' ' ')
for name in $list; do
    [ -n "${made[$name]:-}" ] || fail "stage $name: say in tests/support/stages.sh what it makes"
done
all_stages=""
for name in $list; do
    if [[ " import export " == *" $name "* && ! -s $golden/astroclip_tiny.ckpt ]]; then
        echo "no $golden/astroclip_tiny.ckpt: stage $name is left out"
    else
        all_stages="$all_stages$name "
    fi
done

trainings="train_spectrum train_image train_moco align"
small_moco=(--set moco.backbone=resnet18 --set moco.width=4 --set moco.image_size=32 --set moco.emb_dim=8)
# wants STAGE OUTPUT: sets `its` to the arguments that only this stage needs (a sky of its own, a checkpoint, a short training)
wants() {
    its=()
    case $1 in
    mock) its=(--set "release.spectra.root=$work/$2/sky/desi" --set "release.images.root=$work/$2/sky/legacy" --set "release.labels=$work/$2/sky/labels.hdf5") ;;
    import) its=(--set "import.input=$golden/astroclip_tiny.ckpt") ;;
    train_spectrum | align)
        its=(--set train.save_steps=1 --set train.shuffle_block=2 --set train.shuffle_window=8)
        its+=(--set "$1.batch=1" --set "$1.steps=3" --set "$1.validate_every=2" --set "$1.warmup_steps=1" --set "$1.lr=1e-3" --set "$1.dropout=0.1" --set "$1.ema=0.5")
        ;;
    search) its=(--set search.save_minutes=0 --set "search.spectra=[$(find "$work" -path '*/sky/*' -name 'coadd-*' | sort | head -1)]") ;;
    report) its=(--set report.queries=1 --set report.map_objects=20 --set report.outliers=2 --set report.spectra=2) ;;
    train_image)
        its=(--set train.save_steps=1 --set train.shuffle_block=2 --set train.shuffle_window=8)
        its+=(--set train_image.batch=2 --set train_image.steps=3 --set train_image.validate_every=2 --set train_image.warmup_steps=1 --set train_image.lr=1e-3)
        its+=(--set train_image.local_crops_size=24 --set train_image.local_crops_number=2 --set train_image.head_n_prototypes=16 --set train_image.head_hidden_dim=16 --set train_image.head_bottleneck_dim=8)
        ;;
    train_moco)
        its=("${small_moco[@]}" --set train.save_steps=1 --set train.shuffle_block=2 --set train.shuffle_window=8)
        its+=(--set train_moco.batch=2 --set train_moco.steps=3 --set train_moco.validate_every=2 --set train_moco.num_negatives=11 --set train_moco.lr=1e-3)
        ;;
    baselines)
        its=("${small_moco[@]}" --set 'baselines.models=[resnet18,conv_att,photometry_mlp,pca_image,pca_spectrum,moco]')
        its+=(--set train.save_steps=1 --set train.shuffle_block=2 --set train.shuffle_window=8)
        its+=(--set baselines.batch=8 --set baselines.epochs=2 --set baselines.photometry_epochs=2 --set baselines.width=4 --set baselines.image_size=32 --set baselines.components=3)
        ;;
    esac
    # a frozen encoder whose tokens are cached, one that is trained, negatives of all replicas
    [ "$1" != align ] || its+=(--set align.image=init --set "align.freeze=[image]" --set align.tokens=cache --set align.negatives=global --set align.learn_scale=true --set align.output=aligned.ckpt.h5)
}

# every_output OUTPUT RANKS: all stages into one folder; the sky is OUTPUT/sky, and the roots of everybody from here on
every_output() {
    wants mock "$1"
    roots=("${its[@]}")
    kept "$1" write_every "$@" || { fail "the undisturbed stages"; finish; }
}
write_every() {
    local name
    for name in $all_stages; do
        wants "$name" "$1"
        stage "$name" "$1" "$2" "${tiny[@]}" "${its[@]}" > "$work/$1-$name.log" 2>&1 || { echo "$name"; tail -5 "$work/$1-$name.log"; return 1; }
    done
}

# without OUTPUT STAGE FROM: OUTPUT is a copy of FROM but for what STAGE makes
without() {
    local file
    rm -rf "${work:?}/$1"
    mkdir "$work/$1"
    for file in "$work/$3"/*; do
        [[ " ${made[$2]} sky " == *" ${file##*/} "* ]] || cp -r "$file" "$work/$1/"
    done
}

# same_file A B: data of the same bits; what says when and by what it was written does not count
same_file() {
    local sums
    case $1 in
    *.h5 | *.hdf5) h5diff --exclude-attribute / "$1" "$2" > /dev/null 2>&1 ;;
    *.fits | *.fits.fz | *.fits.gz)
        sums=$(data_sums "$1")
        if [ -n "$sums" ]; then [ "$sums" = "$(data_sums "$2")" ]; else cmp -s "$1" "$2"; fi
        ;;
    */metrics.csv) [ "$(sed 's/,[^,]*$//' "$1")" = "$(sed 's/,[^,]*$//' "$2")" ] ;; # the last column is time
    *.sha256sum) (cd "$(dirname "$2")" && sha256sum --quiet -c "$(basename "$2")" > /dev/null 2>&1) ;;
    */report/index.html) cmp -s <(sed '/class="run"/d' "$1") <(sed '/class="run"/d' "$2") ;; # seconds, ranks, paths
    */MOCK-SKY) true ;; # bears the fingerprint, which has a path in it
    *) cmp -s "$1" "$2" ;;
    esac
}

# finished_hold A B: whatever bears a final name in B is what it is in A
finished_hold() {
    local file
    while read -r file; do
        case $file in
        *.part | *.part/* | *.plain | */.astroclip.lock* | */volume-*.h5) continue ;; # volumes: other sizes, other files; by embeddings.h5
        */state-*.h5 | */best.ckpt.h5) # of a training under way
            "$ASTROCLIP_BIN" inspect "$work/$2/$file" --verify > "$work/verify.log" 2>&1 || { fail "$file of $2 is not whole"; cat "$work/verify.log"; }
            continue
            ;;
        */metrics.csv) # grows line by line; the last one may be cut short
            sed '$!s/,[^,]*$//; $d' "$work/$2/$file" | cmp -s - <(sed 's/,[^,]*$//' "$work/$1/$file" | head -n $(($(wc -l < "$work/$2/$file") - 1))) ||
                fail "$file of $1 and $2 differ before where $2 ended"
            continue
            ;;
        esac
        if [ ! -e "$work/$1/$file" ]; then
            fail "$file is in $2 and was never to be made"
        elif ! same_file "$work/$1/$file" "$work/$2/$file"; then
            fail "$file of $1 and $2 differ"
        fi
    done < <(cd "$work/$2" && find . -type f)
}

# same_output A B STAGE: what STAGE makes is all there, the same, and nothing else is left in B
same_output() {
    local file
    finished_hold "$1" "$2"
    for file in ${made[$3]}; do
        [ -e "$work/$2/$file" ] || fail "$file of $2 is missing"
        [[ " $trainings " == *" $file "* ]] || continue
        for file in $(cd "$work/$1" && find "$file" -type f); do
            same_file "$work/$1/$file" "$work/$2/$file" || fail "$file of $1 and $2 differ"
        done
    done
    [ "$3" != mock ] || [ "$(cd "$work/$1/sky" && find . | sort)" = "$(cd "$work/$2/sky" && find . | sort)" ] || fail "other files in the sky of $2 than in that of $1"
    file=$(cd "$work/$2" && find . -name '*.part' -o -name '*.plain' -o -name 'state-*' -o -name '.astroclip.lock*')
    [ -z "$file" ] || fail "left behind in $2: $file"
}

launchers="mpirun mpiexec orterun" # names of one program
# members OUTPUT NAMES TEXT: processes of programs with one of the names, and with TEXT on the command line
members() {
    local pid
    for pid in $(pgrep -f "$3 .*run.output=$work/$1( |$)"); do
        [[ " $2 " == *" $(cat "/proc/$pid/comm" 2> /dev/null || echo none) "* ]] && echo "$pid"
    done
}
