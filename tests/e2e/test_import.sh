#!/usr/bin/env bash
# A PyTorch checkpoint is imported, embeds a small sky, is exported, and what was exported is the same checkpoint: to us and to PyTorch.
. "$(dirname "$0")/../support/sky.sh"
golden=${ASTROCLIP_GOLDEN:-${ASTROCLIP_SHARED:-../shared}/golden}
[ -s "$golden/astroclip_tiny.ckpt" ] || { echo "skipped: no $golden/astroclip_tiny.ckpt"; exit 77; }

# one STAGE NAME [arguments]: a stage with a run file of the two sections only
one() {
    local name=$1 file=$2
    shift 2
    "$ASTROCLIP_BIN" "$name" "$file" "$@" > "$work/$name.log" 2>&1 || { fail "$name $*"; cat "$work/$name.log"; }
}
same_weights() { h5diff "$1" "$2" /weights /weights > "$work/h5diff.log" 2>&1 || { fail "weights of $1 and $2 differ"; head -5 "$work/h5diff.log"; }; }

for file in astroclip_tiny.ckpt specformer_tiny_fp16.ckpt astrodino_tiny_teacher.pth; do
    printf 'import: {input: %s, output: %s}\nexport: {input: %s, output: %s}\n' \
        "$golden/$file" "$work/$file.h5" "$work/$file.h5" "$work/$file" > "$work/$file.yaml"
    printf 'import: {input: %s, output: %s}\n' "$work/$file" "$work/$file.again.h5" > "$work/$file.again.yaml"
    one import "$work/$file.yaml" --set "run.output=$work/weights"
    one import "$work/$file.yaml" --set "run.output=$work/weights"
    grep -q 'is current, nothing to do' "$work/import.log" || fail "the second import of $file did something"
    one export "$work/$file.yaml" --set "run.output=$work/weights"
    one import "$work/$file.again.yaml" --set "run.output=$work/weights"
    same_weights "$work/$file.h5" "$work/$file.again.h5"
done

# a flipped bit in the weights is found
weights=$work/astroclip_tiny.ckpt.h5
"$ASTROCLIP_BIN" inspect "$weights" --verify > "$work/inspect.log" 2>&1 || { fail "an imported checkpoint does not hold"; tail -3 "$work/inspect.log"; }
cp "$weights" "$work/hurt.h5"
flip "$work/hurt.h5" $(($(start "$weights" "/weights/$(h5ls "$weights/weights" | awk 'NR == 1 { print $1 }')") + 5))
"$ASTROCLIP_BIN" inspect "$work/hurt.h5" --verify > "$work/inspect.log" 2>&1
[ $? -eq 3 ] || fail "a flipped bit in a checkpoint is not found"

# what is refused leaves nothing behind, and ends with the exit code of bad input
printf 'import: {input: %s}\n' "$golden/bad_crc.ckpt" > "$work/bad.yaml"
"$ASTROCLIP_BIN" import "$work/bad.yaml" --set "run.output=$work/bad" > "$work/bad.log" 2>&1
[ $? -eq 3 ] || { fail "a damaged checkpoint does not end with exit code 3"; cat "$work/bad.log"; }
grep -q 'CRC-32' "$work/bad.log" || fail "the message does not name the checksum"
[ -z "$(ls -A "$work/bad")" ] || fail "a refused checkpoint left files: $(ls -A "$work/bad")"

# the weights embed a sky; sizes that do not fit are told
make_sky
sizes=(--set model.embed_dim=32 --set model.head_heads=4 --set model.image.embed_dim=36 --set model.image.depth=4 --set model.image.num_heads=4
       --set model.image.block_chunks=2 --set model.spectrum.embed_dim=24 --set model.spectrum.num_layers=2 --set model.spectrum.num_heads=3)
stage catalog out 2 > "$work/catalog.log" 2>&1 || { fail catalog; cat "$work/catalog.log"; }
stage embed out 2 "${sizes[@]}" --set "embed.weights=$work/astroclip_tiny.ckpt.h5" > "$work/embed.log" 2>&1 || { fail embed; cat "$work/embed.log"; }
grep -q 'rows have an embedding of their spectrum' "$work/embed.log" || fail "nothing was embedded"
mkdir -p "$work/wrong" && cp "$work/out/catalog.h5" "$work/wrong/"
stage embed wrong 1 --set "embed.weights=$work/astroclip_tiny.ckpt.h5" > "$work/wrong.log" 2>&1 && fail "weights of another size were taken"
grep -q 'embed_dim: 36, depth: 4, block_chunks: 2' "$work/wrong.log" || { fail "the sizes that would fit are not told"; cat "$work/wrong.log"; }

# an encoder alone: enough for its own set, not for the aligned one; the numbers are those of the same encoder anywhere
part=("${sizes[@]}" --set "embed.weights=$work/astrodino_tiny_teacher.pth.h5" --set 'embed.modalities=[image]')
for output in single aligned; do mkdir -p "$work/$output"; cp "$work/out/catalog.h5" "$work/$output/"; done
stage embed single 1 "${part[@]}" --set 'embed.sets=[single]' > "$work/single.log" 2>&1 || { fail "an image encoder alone"; cat "$work/single.log"; }
stage embed aligned 1 "${part[@]}" > "$work/aligned.log" 2>&1 && fail "an image encoder alone made aligned embeddings"
grep -q 'image_encoder.cross_attention.query is missing' "$work/aligned.log" || { fail "what is missing is not told"; cat "$work/aligned.log"; }

# PyTorch itself, where it is installed
cat > "$work/load.py" << 'EOF'
import sys
import torch
ours, official, key = sys.argv[1:]
a = torch.load(ours, map_location="cpu", weights_only=True)[key]
b = torch.load(official, map_location="cpu", weights_only=False)[key] if key == "teacher" else torch.load(official, map_location="cpu", weights_only=True)[key]
names = [n for n in b if not n.startswith("dino_head.")]
assert set(a) == set(names), set(a) ^ set(names)
for n in names:
    assert a[n].shape == b[n].shape and torch.equal(a[n], b[n].float()), n
EOF
python=${ASTROCLIP_PYTHON:-python3}
if "$python" -c 'import torch' 2> /dev/null; then
    "$python" "$work/load.py" "$work/specformer_tiny_fp16.ckpt" "$golden/specformer_tiny_fp16.ckpt" state_dict || fail "PyTorch and the exported SpecFormer"
    "$python" "$work/load.py" "$work/astrodino_tiny_teacher.pth" "$golden/astrodino_tiny_teacher.pth" teacher || fail "PyTorch and the exported AstroDINO"
    "$python" "$work/load.py" "$work/astroclip_tiny.ckpt" "$golden/astroclip_tiny_plain.ckpt" state_dict || fail "PyTorch and the exported AstroCLIP"
    echo "PyTorch loads what was exported"
else
    echo "no PyTorch here: that part is skipped"
fi
finish
