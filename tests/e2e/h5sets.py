"""The same galaxies in the layouts of three published sets, as h5py writes them; and a look at what became of them.

    h5sets.py make FOLDER
    h5sets.py check FOLDER OUTPUT...
    h5sets.py packed FOLDER OUTPUT...
    h5sets.py spoil HOW FILE
    h5sets.py flags OUTPUT
"""
import os
import sys

import h5py
import numpy as np

N = 23
EMBEDDINGS = ("image", "astrodino", "spectrum", "specformer")
GROUPS = {"0": 9, "2": 4, "10": 11}  # one galaxy more than there are: TARGETID 3 again in group 10


def galaxies():
    rng = np.random.default_rng(7)
    release, brick, objid = np.full(N, 9010), 300000 + np.arange(N), 11 * np.arange(N) + 1
    y, x = np.mgrid[:152, :152]
    shape = np.exp(-((x - 75.5) ** 2 + (y - 75.5) ** 2 / 4) / 200) + 0.3 * np.exp(-((x - 100) ** 2 + (y - 30) ** 2) / 50)
    images = shape * rng.uniform(0.1, 1, (N, 3, 1, 1)) + rng.normal(0, 0.005, (N, 3, 152, 152))
    wave = 3600 + 0.8 * np.arange(7781)
    spectra = 3 + np.sin(wave / rng.uniform(50, 300, (N, 1))) + rng.normal(0, 0.3, (N, 7781))
    return {
        "release": release, "brick": brick, "objid": objid, "targetid": objid | brick << 22 | release << 42,
        "ra": 150 + 0.01 * np.arange(N), "dec": 2 + 0.005 * np.arange(N), "z": rng.uniform(0.05, 0.6, N),
        "images": images.astype("f4"), "spectra": spectra.astype("f4"), "wave": wave,
    }


def make_paired(folder, g):
    index = np.r_[np.arange(N), 3]
    with h5py.File(f"{folder}/astroclip_desi.1.1.5.h5", "w") as f:
        start = 0
        for name, n in GROUPS.items():
            i = index[start:start + n]
            start += n
            f.create_group(name)
            f[name]["images"] = np.array([g["images"][k].T for k in i])
            f[name]["spectra"] = g["spectra"][i][:, :, None]
            f[name]["redshifts"] = g["z"][i]
            f[name]["targetids"] = g["targetid"][i]


def make_stein(folder, g):
    for name, rows in (("north", np.arange(N)[::2]), ("south", np.arange(N)[1::2])):
        os.makedirs(f"{folder}/{name}")
        with h5py.File(f"{folder}/{name}/images_npix152_000000000_001000000.h5", "w") as f:
            f["images"] = g["images"][rows]
            for key, column in (("ra", "ra"), ("dec", "dec"), ("release", "release"), ("brickid", "brick"), ("objid", "objid")):
                f[key] = g[column][rows]
            f["flux"] = np.ones((len(rows), 3), "f4")
            f["source_type"] = np.array([b"REX"] * len(rows))
            f["z_spec"] = np.full(len(rows), -99, "f4")


def make_mmu(folder, g):
    rng = np.random.default_rng(8)
    for healpix, rows in ((7, np.arange(N)[:10]), (12, np.arange(N)[10:])):
        n = len(rows)
        os.makedirs(f"{folder}/desi/healpix={healpix}")
        with h5py.File(f"{folder}/desi/healpix={healpix}/001-of-001.hdf5", "w") as f:
            f["object_id"] = [f"b'{t}'" for t in g["targetid"][rows]]  # strings of variable length
            f["ra"], f["dec"] = g["ra"][rows], g["dec"][rows]
            f["healpix"] = np.full(n, healpix)
            f["Z"], f["ZWARN"] = g["z"][rows], np.zeros(n, "i8")
            f["SURVEY"] = ["sv3"] * n
            f["PROGRAM"] = np.array([b"bright"] * n)
            f["OBJTYPE"] = np.array([b"TGT"] * n)
            f["FLUX_G"] = np.ones(n, ">f4")
            mask = np.zeros((n, 7781), bool)
            mask[rows == 4, 1000:1010] = True
            f.create_dataset("spectrum_flux", data=g["spectra"][rows], compression="gzip", chunks=True)
            f.create_dataset("spectrum_ivar", data=np.full((n, 7781), 2, "f4"), compression="gzip", chunks=True)
            f["spectrum_lambda"] = np.tile(g["wave"].astype("f4"), (n, 1))
            f["spectrum_mask"] = mask
        os.makedirs(f"{folder}/legacysurvey/healpix={healpix}")
        images = rng.normal(0, 1, (n, 4, 160, 160)).astype("f4")
        images[:, [0, 1, 3], 4:156, 4:156] = g["images"][rows]
        with h5py.File(f"{folder}/legacysurvey/healpix={healpix}/001-of-001.hdf5", "w") as f:
            f["object_id"] = [f"1500p020-{k}" for k in g["objid"][rows]]
            f["ra"], f["dec"] = g["ra"][rows] + 5e-5, g["dec"][rows]  # 0.18 arcsec
            f["RELEASE"], f["BRICKID"], f["OBJID"] = np.full(n, 10000), g["brick"][rows], g["objid"][rows]
            f.create_dataset("image_array", data=images, compression="gzip", chunks=True, maxshape=(None, 4, 160, 160))
            f.create_dataset("image_ivar", data=np.ones_like(images), compression="gzip", chunks=True)
            f["image_band"] = np.array([[b"des-g", b"des-r", b"des-i", b"des-z"]] * n, h5py.string_dtype("utf-8", 5))
            f["image_scale"] = np.full((n, 4), 0.262, "f4")
            f["image_mask"] = np.ones((n, 160, 160), bool)


def make(folder):
    g = galaxies()
    for name, write in (("paired", make_paired), ("stein", make_stein), ("mmu", make_mmu)):
        os.makedirs(f"{folder}/{name}")
        write(f"{folder}/{name}", g)


def expect(what, condition):
    if not condition:
        print("FAILED:", what)
        expect.failures += 1


expect.failures = 0


def read(folder):
    with h5py.File(f"{folder}/catalog.h5") as f:
        row = {key: f[key][:] for key in ("TARGETID", "Z", "SURVEY", "PROGRAM", "MATCH", "HAS_IMAGE", "HAS_SPECTRUM")}
    with h5py.File(f"{folder}/embeddings.h5") as f:
        row["id"] = f["object_id"][:]
        for key in EMBEDDINGS:
            row[key] = f[f"{key}_embeddings"][:]
        for key in ("image_flag", "spectrum_flag"):
            row[key] = f[key][:]
    return row


def check(folder, outputs):
    g = galaxies()
    z = dict(zip(g["targetid"], g["z"]))
    first = None
    for name in outputs:
        r = read(f"{folder}/{name}")
        expect(f"{name}: one row for each galaxy", sorted(r["TARGETID"]) == sorted(g["targetid"]))
        expect(f"{name}: embeddings are of these rows", (r["TARGETID"] == r["id"]).all())
        expect(f"{name}: redshifts", all(z[t] == v for t, v in zip(r["TARGETID"], r["Z"])))
        expect(f"{name}: all have both", r["HAS_IMAGE"].all() and r["HAS_SPECTRUM"].all())
        expect(f"{name}: everything is embedded", all(np.isfinite(r[k]).all() for k in EMBEDDINGS))
        expect(f"{name}: embeddings differ between galaxies", len(np.unique(r["astrodino"][:, 0])) == N)
        expect(f"{name}: image flags", not r["image_flag"].any())
        if name.startswith("paired"):
            expect(f"{name}: rows keep the order of the file", (r["TARGETID"] == g["targetid"]).all())
            expect(f"{name}: spectrum flags", not r["spectrum_flag"].any())
        else:
            expect(f"{name}: SURVEY and PROGRAM", set(r["SURVEY"]) == {b"sv3"} and set(r["PROGRAM"]) == {b"bright"})
        order = np.argsort(r["TARGETID"])
        if first is None:
            first = {k: r[k][order] for k in EMBEDDINGS}
        for key in EMBEDDINGS[:2]:
            expect(f"{name}: {key} embeddings are those of {outputs[0]}", (r[key][order] == first[key]).all())
        keep = np.sort(r["TARGETID"]) != g["targetid"][4]  # whose spectrum has masked pixels in one set
        for key in EMBEDDINGS[2:]:
            expect(f"{name}: {key} embeddings are those of {outputs[0]}", (r[key][order] == first[key])[keep].all())
        if "mmu" in name:
            expect(f"{name}: the masked pixels count", (r["spectrum"][order] != first["spectrum"])[~keep].any())
    print(f"{len(outputs)} runs over {N} galaxies, {expect.failures} failures")
    sys.exit(expect.failures > 0)


def packed(folder, outputs):
    """dataset.h5 of each layout: the numbers that went into its files."""
    g = galaxies()
    place = {t: i for i, t in enumerate(g["targetid"])}
    for name in outputs:
        with h5py.File(f"{folder}/{name}/dataset.h5") as f, h5py.File(f"{folder}/{name}/catalog.h5") as c:
            for group, key, numbers in (("spectra", "spectra", "flux"), ("images", "images", "pixels")):
                row, targetid, found = f[group]["row"][:], f[group]["targetid"][:], f[group][numbers][:]
                index = np.array([place[t] for t in targetid])
                truth = g[key][index]
                if name == "mmu" or (name == "stein" and group == "spectra"):
                    masked = index == 4  # whose masked pixels are zero
                    if group == "spectra":
                        truth[masked, 1000:1010] = 0
                expect(f"{name}: one entry of {group} for each galaxy", sorted(targetid) == sorted(g["targetid"]))
                expect(f"{name}: {group} in catalogue order", (c["TARGETID"][:][row] == targetid).all() and (np.diff(row) > 0).all())
                expect(f"{name}: splits of {group}", (c["SPLIT"][:][row] == f[group]["split"][:]).all())
                expect(f"{name}: {numbers} are those of the files", (found == truth).all())
    print(f"{len(outputs)} datasets of {N} galaxies, {expect.failures} failures")
    sys.exit(expect.failures > 0)


def spoil(how, path):
    """A file of Stein et al. as no one should write it."""
    if how == "cut":
        os.truncate(path, os.path.getsize(path) // 2)
        return
    with h5py.File(path, "a") as f:
        images = f["images"][:]
        del f["images"]
        if how == "chunks":  # 1.5 GiB each, of zeros: a few MB in the file
            f.create_dataset("images", (len(images), 3, 152, 152), "f4", chunks=(5800, 3, 152, 152), compression="gzip",
                             maxshape=(None, 3, 152, 152))
        elif how == "claim":
            f.create_dataset("images", (1 << 40, 3, 152, 152), "f4", chunks=(1, 3, 152, 152), maxshape=(None, 3, 152, 152))
            f["images"][0] = images[0]
        elif how == "text":
            f["images"] = np.full((len(images), 3, 152, 152), b"x")
        elif how == "compound":
            f["images"] = np.zeros((len(images), 3, 152, 152), [("a", "f4")])
        elif how == "link":
            f["images"] = h5py.ExternalLink("nowhere.h5", "images")
        elif how == "axes":
            f["images"] = images[:, :, :, :, None]


def flags(output):
    with h5py.File(f"{output}/embeddings.h5") as f:
        values, counts = np.unique(f["image_flag"][:], return_counts=True)
    print(" ".join(f"{v}:{n}" for v, n in zip(values, counts)))


if __name__ == "__main__":
    {"make": make, "spoil": spoil, "flags": flags, "check": lambda folder, *outputs: check(folder, outputs),
     "packed": lambda folder, *outputs: packed(folder, outputs)}[sys.argv[1]](*sys.argv[2:])
