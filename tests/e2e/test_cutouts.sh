#!/usr/bin/env bash
# A folder of single cutouts through the path: the real files of the sky viewer, whole and damaged, at several pixel
# scales; then as the images of spectra, found by position. Every file is a row, readable or not. Needs the files
# (ASTROCLIP_SHARED/data) and a Python with numpy, h5py and astropy, named by ASTROCLIP_PYTHON.
set -u
python=${ASTROCLIP_PYTHON:-}
[ -n "$python" ] || { echo "ASTROCLIP_PYTHON names no Python: skipped"; exit 77; }
"$python" -c 'import numpy, h5py, astropy' 2> /dev/null || { echo "$python lacks h5py or astropy: skipped"; exit 77; }
. "$(dirname "$0")/../support/sky.sh"
real=${ASTROCLIP_SHARED:-../shared}/data
[ -f "$real/cutouts/example_a.fits" ] || { echo "no $real/cutouts: skipped"; exit 77; }

# folders in folders, one compressed; an empty file, one that is no FITS, one cut within its second band
mkdir -p "$work/cutouts/a/b"
cp "$real"/cutouts/*.fits "$work/cutouts/"
chmod -R u+w "$work/cutouts"
mv "$work/cutouts/example_c.fits" "$work/cutouts/a/b/" && gzip "$work/cutouts/a/b/example_c.fits"
: > "$work/cutouts/a/empty.fits"
echo "not a FITS file" > "$work/cutouts/a/cutout_12.5000_-3.2500.fits"
head -c 600000 "$real/cutouts/cutout_59.1067_-30.4848.fits" > "$work/cutouts/a/torn.fits"
echo "not a cutout" > "$work/cutouts/notes.txt"

cat > "$work/cutouts.yaml" << 'YAML'
run: {stages: [catalog, embed], max_rejected_fraction: 1}
release: {rows: [images], spectra: {kind: none}, images: {kind: cutouts, release: viewer}}
model:
  embed_dim: 32
  head_heads: 4
  image: {kind: vit, embed_dim: 24, depth: 2, num_heads: 2, block_chunks: 1}
  spectrum: {kind: specformer, embed_dim: 24, num_layers: 1, num_heads: 2}
YAML
yaml=$work/cutouts.yaml
roots=(--set "release.images.root=$work/cutouts")

run flag 2 > "$work/flag.log" 2>&1 || { fail "a folder of cutouts"; tail "$work/flag.log"; finish; }
run convert 3 --set images.other_scale=convert > "$work/convert.log" 2>&1 || { fail "conversion"; tail "$work/convert.log"; finish; }
run one 1 --set images.other_scale=convert --set embed.block_rows=2 > "$work/one.log" 2>&1 || { fail "one rank"; tail "$work/one.log"; finish; }
for file in catalog.h5 embeddings.h5; do
    h5diff --exclude-attribute / "$work/convert/$file" "$work/one/$file" > "$work/h5diff.log" 2>&1 || fail "$file: one rank and three differ"
done

# a cutout around each of two spectra, east to the right in one: written here with astropy
mkdir -p "$work/sdss/26/spectra/lite/0266" "$work/around"
cp "$real"/sdss/spec-0266-*.fits "$work/sdss/26/spectra/lite/0266/"
"$python" - "$work" << 'PYTHON' || fail "making cutouts around spectra"
import glob, sys
import numpy as np
from astropy.io import fits
for i, path in enumerate(sorted(glob.glob(sys.argv[1] + "/sdss/26/spectra/lite/0266/*"))[:2]):
    row = fits.getdata(path, 2)[0]
    h = fits.Header()
    for axis, kind, at, scale in (1, "RA---TAN", row["PLUG_RA"], (-1) ** (1 - i)), (2, "DEC--TAN", row["PLUG_DEC"], 1):
        h.update({f"CTYPE{axis}": kind, f"CRVAL{axis}": float(at), f"CRPIX{axis}": 100.5, f"CD{axis}_{axis}": scale * 0.262 / 3600})
    h["BANDS"] = "grz"
    image = np.random.default_rng(1).normal(size=(3, 200, 200)).astype("f4")
    fits.writeto(f"{sys.argv[1]}/around/{i}.fits", image if i == 0 else image[:, :, ::-1], h)
PYTHON
roots=(--set "release.images.root=$work/around" --set "release.spectra.kind=sdss" --set "release.spectra.root=$work/sdss")
run joined 2 --set 'release.rows=[spectra]' > "$work/joined.log" 2>&1 || { fail "spectra with cutouts"; tail "$work/joined.log"; finish; }

"$python" - "$work" << 'PYTHON' || fail "what the artefacts say"
import os, sys, warnings
import h5py
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

warnings.simplefilter("ignore")
work, bad = sys.argv[1], 0
UNREADABLE, BAD_SCALE, NOT_ASKED, RESCALED = 2, 16, 1024, 8192


def check(what, ok):
    global bad
    if not ok:
        print("not so:", what)
        bad += 1


def rows(output):
    with h5py.File(f"{work}/{output}/catalog.h5") as c, h5py.File(f"{work}/{output}/embeddings.h5") as e:
        check(output + ": rows of both artefacts", np.array_equal(c["TARGETID"][:], e["object_id"][:]))
        check(output + ": nothing rejected", len(c["rejected/TARGETID"]) == 0)
        names = [n.decode() for n in c["files"][:]]
        return [(names[i] if i >= 0 else "", *rest) for i, *rest in zip(
            c["IMAGE_FILE"][:], c["RA"][:], c["DEC"][:], e["image_flag"][:], e["image_embeddings"][:])]


flag, convert = rows("flag"), rows("convert")
check("11 files are 11 rows", len(flag) == 11 and len({r[0] for r in flag}) == 11)
for (name, ra, dec, first, plain), (_, _, _, second, turned) in zip(flag, convert):
    short = os.path.basename(name)
    if short in ("empty.fits", "torn.fits", "cutout_12.5000_-3.2500.fits", "example_incomplete.fits"):
        check(name + " is flagged", first == second == UNREADABLE and not np.isfinite(turned).any())
    if short in ("empty.fits", "cutout_12.5000_-3.2500.fits"):
        check(name + ": position of the name, if any", np.isnan(ra) if short == "empty.fits" else (ra, dec) == (12.5, -3.25))
        continue
    if short.startswith("copsf"):
        check("a PSF without WCS", first == second == BAD_SCALE and np.isnan(ra))
        continue
    with fits.open(f"{work}/cutouts/{name}", ignore_missing_end=True) as f:
        h = next(u.header for u in f if u.header["NAXIS"] > 0)
    nx, ny, w = h["NAXIS1"], h["NAXIS2"], WCS(h).celestial
    sky = w.all_pix2world((nx - 1) / 2, (ny - 1) / 2, 0)
    check(name + ": position", abs(sky[0] - ra) < 1e-8 and abs(sky[1] - dec) < 1e-8)
    if first == UNREADABLE:
        continue
    ours = abs(abs(h["CD1_1"]) * 3600 / 0.262 - 1) < 0.01
    check(name + ": flag", first == (0 if ours else BAD_SCALE))
    check(name + ": flag when converted", (second & ~(128 | 512)) == (0 if ours else RESCALED))
    check(name + ": embedding", np.isfinite(plain).all() == ours and np.isfinite(turned).all())
    check(name + ": conversion leaves our scale alone", not ours or np.array_equal(plain, turned))
joined = rows("joined")
with_image = [r for r in joined if r[0]]
check("two spectra found their cutouts", sorted(r[0] for r in with_image) == ["0.fits", "1.fits"])
check("their images are embedded", all(r[3] == 0 for r in with_image))
check("the mirrored file holds the same image", len(with_image) == 2 and np.array_equal(with_image[0][4], with_image[1][4]))
check("the other spectra have none", all(r[3] == NOT_ASKED for r in joined if not r[0]))
print(f"{len(flag)} + {len(joined)} rows looked at")
sys.exit(bad > 0)
PYTHON
grep -h "image_flag" "$work/flag.log" "$work/convert.log"
finish
