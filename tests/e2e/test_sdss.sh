#!/usr/bin/env bash
# A second spectroscopic survey through the whole path: the real SDSS and BOSS files, whole and damaged, as spec files in
# folders and by a specObj table; Galactic extinction as an option. Needs the files (ASTROCLIP_SHARED/data/sdss) and a
# Python with numpy, h5py and astropy, named by ASTROCLIP_PYTHON.
set -u
python=${ASTROCLIP_PYTHON:-}
[ -n "$python" ] || { echo "ASTROCLIP_PYTHON names no Python: skipped"; exit 77; }
"$python" -c 'import numpy, h5py, astropy' 2> /dev/null || { echo "$python lacks h5py or astropy: skipped"; exit 77; }
. "$(dirname "$0")/../support/sky.sh"
real=${ASTROCLIP_SHARED:-../shared}/data/sdss
[ -f "$real/spec-0266-51602-0013.fits" ] || { echo "no $real: skipped"; exit 77; }

# As a release lays them out, one compressed; then damaged ones: cut short, empty, and another observation's name.
lite=$work/sdss/26/spectra/lite
for file in "$real"/spec-*.fits; do
    plate=$(basename "$file" | cut -c 6-9)
    mkdir -p "$lite/$plate"
    cp "$file" "$lite/$plate/"
done
chmod -R u+w "$work/sdss"
gzip "$lite/0548/spec-0548-51986-0001.fits"
mkdir -p "$lite/0999"
head -c 60000 "$real/spec-0266-51602-0013.fits" > "$lite/0999/spec-0999-51602-0001.fits"
: > "$lite/0999/spec-0999-51602-0002.fits"
echo "not a FITS file" > "$lite/0999/notes.txt"

cat > "$work/sdss.yaml" << 'YAML'
run: {stages: [catalog, embed], max_rejected_fraction: 0.5}
release: {spectra: {kind: sdss}, images: {kind: none}}
model:
  embed_dim: 32
  head_heads: 4
  image: {kind: vit, embed_dim: 24, depth: 2, num_heads: 2, block_chunks: 1}
  spectrum: {kind: specformer, embed_dim: 24, num_layers: 1, num_heads: 2}
YAML
yaml=$work/sdss.yaml
roots=(--set "release.spectra.root=$work/sdss")

run files 2 > "$work/files.log" 2>&1 || { fail "spec files"; tail "$work/files.log"; finish; }
run one 1 > "$work/one.log" 2>&1 || { fail "spec files on one rank"; tail "$work/one.log"; finish; }
for file in catalog.h5 embeddings.h5; do
    h5diff --exclude-attribute / "$work/files/$file" "$work/one/$file" > "$work/h5diff.log" 2>&1 || fail "$file: one rank and two differ"
done
run dust 2 --set spectra.extinction=sfd > "$work/dust.log" 2>&1 || { fail "extinction"; tail "$work/dust.log"; finish; }

"$python" - "$lite" "$work/sdss/specObj.fits" << 'PYTHON' || fail "making a specObj table"
import glob, sys
import numpy as np
from astropy.io import fits
rows = [fits.getdata(f, 2) for f in sorted(glob.glob(sys.argv[1] + "/0[238]*/*.fits"))]
names = "PLATE MJD FIBERID Z Z_ERR ZWARNING CLASS SURVEY RUN2D PLUG_RA PLUG_DEC SPECPRIMARY".split()
columns = [fits.Column(n, {"S": "8A", "f": "D", "i": "J", "u": "B"}[np.asarray(rows[0][n]).dtype.kind.replace("U", "S")],
                       array=[r[n][0] for r in rows]) for n in names]
columns[2].array[-1] = 999  # a spectrum that is not there
fits.BinTableHDU.from_columns(columns, name="SPECOBJ").writeto(sys.argv[2])
PYTHON
run table 2 --set release.spectra.catalog=specObj.fits > "$work/table.log" 2>&1 || { fail "a specObj table"; tail "$work/table.log"; finish; }

"$python" - "$work" << 'PYTHON' || fail "what the artefacts say"
import glob, os, sys
import h5py
import numpy as np
from astropy.io import fits

work, bad = sys.argv[1], 0
UNREADABLE, NO_FILE, BAD_PIXELS, NO_EBV, MASKED, MISSING_ARM = 2, 1, 128, 2048, 32, 64


def check(what, ok):
    global bad
    if not ok:
        print("not so:", what)
        bad += 1


def rows(output):
    with h5py.File(f"{work}/{output}/catalog.h5") as c, h5py.File(f"{work}/{output}/embeddings.h5") as e:
        check(output + ": rows of both artefacts", np.array_equal(c["TARGETID"][:], e["object_id"][:]))
        return {int(t): (float(z), int(f), x) for t, z, f, x in
                zip(c["TARGETID"][:], c["Z"][:], e["spectrum_flag"][:], e["spectrum_embeddings"][:])}


def targetid(plate, mjd, fiber):
    return 1 << 62 | plate << 28 | mjd << 12 | fiber


files, dust, table = rows("files"), rows("dust"), rows("table")
check("11 spectra and a cut file are rows", len(files) == 12)
with h5py.File(work + "/files/catalog.h5") as c:
    check("the empty file is a rejected row", list(c["rejected/TARGETID"][:]) == [targetid(999, 51602, 2)])
for path in glob.glob(work + "/sdss/26/spectra/lite/*/spec-*"):
    plate, mjd, fiber = (int(x) for x in os.path.basename(path).split(".")[0].split("-")[1:])
    if (plate, fiber) == (999, 2):
        continue
    z, flag, embedding = files[targetid(plate, mjd, fiber)]
    finite = np.isfinite(embedding).all()
    if plate == 999:
        check(path + " is flagged", flag == UNREADABLE and not finite and np.isnan(z))
        continue
    many = (plate, fiber) == (266, 13)  # MANYBADCOLUMNS over half of it
    check(path + ": flag", flag == (BAD_PIXELS | MASKED | MISSING_ARM if many else BAD_PIXELS))
    check(path + ": embedding", finite != many)
    check(path + ": redshift", z == float(fits.getdata(path, 2)["Z"][0]))
    _, flag_dust, embedding_dust = dust[targetid(plate, mjd, fiber)]
    known = plate == 4055  # the only file that gives extinctions
    check(path + ": E(B-V)", flag_dust == (flag if known else flag | NO_EBV))
    check(path + ": dust", many or np.array_equal(embedding, embedding_dust) != known)
for key, (z, flag, embedding) in table.items():
    if key & 0xFFF == 999:
        check("a row without its file is flagged", flag == NO_FILE)
    else:
        check("a table leads to the same spectra", files[key][:2] == (z, flag) and np.array_equal(files[key][2], embedding, True))
check("7 rows of the table", len(table) == 7)
print(f"{len(files)} + {len(table)} rows looked at")
sys.exit(bad > 0)
PYTHON
grep "spectrum_flag" "$work/files.log"
finish
