/* Unit tests of io/artefact: the envelope comes back, wrong files are refused with the way out, names appear only when whole. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "io/artefact.h"
#include "test_main.h"

static const char *path_of(const char *name)
{
    static char path[4][H5_PATH];
    static int next;
    char *out = path[next++ & 3];
    snprintf(out, H5_PATH, "%s/%s", test_folder(), name);
    return out;
}

static Envelope example(void)
{
    return (Envelope){.kind = "embeddings",
                      .version = 3,
                      .made_by = "embed",
                      .config = "embed:\n  batch: 64 # spectra\n  note: 'a\\b'\n",
                      .seed = 42,
                      .fingerprint = {"0123456789abcdef0123456789abcdef"},
                      .specprod = "iron",
                      .image_release = "dr9",
                      .provider = "openblas avx2",
                      .seconds = 12.5,
                      .ranks = 8};
}

static void write_h5(const char *path, const Envelope *e)
{
    H5File f;
    if (!CHECK_OK(h5_create(&f, path, NULL))) return;
    CHECK_OK(artefact_write(&f, e));
    CHECK_OK(h5_close(&f));
}

static bool write_fits(const char *path, const Envelope *e)
{
    FitsFile f = {0};
    return CHECK_OK(fitsfile_create(&f, path)) && CHECK_OK(artefact_write_fits(&f, e)) && CHECK_OK(fitsfile_finish(&f));
}

static void envelopes_come_back(void)
{
    const Envelope want = example();
    Envelope got;
    H5File f;
    write_h5(path_of("a.h5"), &want);
    if (!CHECK_OK(h5_open(&f, path_of("a.h5"), NULL))) return;
    CHECK_OK(artefact_read(&got, &f, "embeddings", 3, "embed", &test_arena));
    CU_ASSERT(strcmp(got.kind, want.kind) == 0 && got.version == 3 && strcmp(got.made_by, "embed") == 0);
    CU_ASSERT(strcmp(got.config, want.config) == 0 && got.seed == 42);
    CU_ASSERT(strcmp(got.fingerprint.text, want.fingerprint.text) == 0);
    CU_ASSERT(strcmp(got.specprod, "iron") == 0 && strcmp(got.image_release, "dr9") == 0);
    CU_ASSERT(strcmp(got.provider, want.provider) == 0 && got.seconds == 12.5 && got.ranks == 8);
    char *text = NULL;
    CU_ASSERT(h5_get_attr_text(&text, &f, "/", "program", &test_arena) && strcmp(text, "astroclip") == 0);
    CU_ASSERT(h5_get_attr_text(&text, &f, "/", "program_version", &test_arena) && text[0] != '\0');
    CU_ASSERT(h5_get_attr_text(&text, &f, "/", "created", &test_arena) &&
              strlen(text) == strlen("2026-01-01T00:00:00"));
    h5_close(&f);
}

static bool refused_with(H5File *f, const char *kind, int64_t version, const char *word)
{
    Envelope got;
    Status st = artefact_read(&got, f, kind, version, "probe", &test_arena);
    bool says = st == E_INPUT && strstr(fail_record()->text, f->path) &&
                strstr(fail_record()->text, "`astroclip probe`") && strstr(fail_record()->text, word);
    fail_clear();
    return says;
}

static void wrong_kinds_and_versions_are_refused_with_the_stage_that_helps(void)
{
    const Envelope e = example();
    H5File f;
    write_h5(path_of("kind.h5"), &e);
    if (!CHECK_OK(h5_open(&f, path_of("kind.h5"), NULL))) return;
    CU_ASSERT(refused_with(&f, "probes", 3, "is 'embeddings' version 3, not 'probes'"));
    CU_ASSERT(refused_with(&f, "embeddings", 4, "version 4"));
    h5_close(&f);

    Envelope got;
    if (!CHECK_OK(h5_create(&f, path_of("foreign.h5"), NULL))) return;
    CU_ASSERT(refused_with(&f, "probes", 3, "not a file of ours"));
    CU_ASSERT_FALSE(artefact_peek(&got, &f, &test_arena));
    h5_close(&f);
}

static void currency_means_kind_version_and_fingerprint(void)
{
    const Envelope e = example();
    Fingerprint other = e.fingerprint, none = {""};
    other.text[5] ^= 1;
    write_h5(path_of("now.h5"), &e);
    if (!write_fits(path_of("now.fits"), &e)) return;
    const char *paths[] = {path_of("now.h5"), path_of("now.fits")};
    for (int i = 0; i < 2; i++) {
        CU_ASSERT(artefact_is_current(paths[i], "embeddings", 3, &e.fingerprint));
        CU_ASSERT_FALSE(artefact_is_current(paths[i], "embeddings", 3, &other));
        CU_ASSERT_FALSE(artefact_is_current(paths[i], "embeddings", 3, &none));
        CU_ASSERT_FALSE(artefact_is_current(paths[i], "embeddings", 2, &e.fingerprint));
        CU_ASSERT_FALSE(artefact_is_current(paths[i], "probes", 3, &e.fingerprint));
    }
    CU_ASSERT_FALSE(artefact_is_current(path_of("absent.h5"), "embeddings", 3, &e.fingerprint));
    const char *broken[] = {path_of("broken.h5"), path_of("broken.fits")};
    for (int i = 0; i < 2; i++) { /* text is no artefact, and looking at it is no failure */
        FILE *text = fopen(broken[i], "w");
        CU_ASSERT_FATAL(text != NULL);
        fputs("neither HDF5 nor FITS\n", text);
        fclose(text);
        CU_ASSERT_FALSE(artefact_is_current(broken[i], "embeddings", 3, &e.fingerprint));
    }
    CU_ASSERT_EQUAL(fail_record()->status, OK);
}

static void fits_headers_carry_the_envelope(void)
{
    const Envelope e = example();
    FitsFile f = {0};
    char text[256] = "";
    int64_t n = 0;
    if (!write_fits(path_of("head.fits"), &e)) return;
    if (!CHECK_OK(fitsfile_open(&f, path_of("head.fits")))) return;
    CU_ASSERT(fitsfile_get_text(text, sizeof text, &f, "MADEBY") && strcmp(text, "embed") == 0);
    CU_ASSERT(fitsfile_get_text(text, sizeof text, &f, "SPECPROD") && strcmp(text, "iron") == 0);
    CU_ASSERT(fitsfile_get_text(text, sizeof text, &f, "IMGREL") && strcmp(text, "dr9") == 0);
    CU_ASSERT(fitsfile_get_i64(&n, &f, "NRANKS") && n == 8);
    CU_ASSERT(fitsfile_get_text(text, sizeof text, &f, "DEPNAM00") && strcmp(text, "astroclip") == 0);
    CU_ASSERT(fitsfile_get_text(text, sizeof text, &f, "DEPNAM02") && strcmp(text, "HDF5") == 0);
    CU_ASSERT(fitsfile_get_text(text, sizeof text, &f, "DEPVER02") && strcmp(text, h5_version()) == 0);
    CU_ASSERT(fitsfile_get_text(text, sizeof text, &f, "CONFIG") &&
              strcmp(text, "embed:\\n  batch: 64 # spectra\\n  note: 'a\\\\b'\\n") == 0);
    fitsfile_close(&f);
}

static void files_get_their_name_when_whole(void)
{
    CHECK_OK(artefact_make_folder(&test_par, path_of("out/deep/er")));
    CHECK_OK(artefact_make_folder(&test_par, path_of("out/deep/er/")));
    CU_ASSERT_EQUAL(access(path_of("out/deep/er"), W_OK), 0);
    const Envelope e = example();
    const char *final = path_of("out/deep/e.h5");
    CHECK_FAILS(artefact_publish(&test_par, final), E_OUTPUT); /* nothing to publish */
    write_h5(path_of("out/deep/e.h5.part"), &e);
    CU_ASSERT_NOT_EQUAL(access(final, F_OK), 0);
    CHECK_OK(artefact_publish(&test_par, final));
    CU_ASSERT_EQUAL(access(final, R_OK), 0);
    CU_ASSERT_NOT_EQUAL(access(path_of("out/deep/e.h5.part"), F_OK), 0);
    CHECK_FAILS(artefact_make_folder(&test_par, path_of("out/deep/e.h5/inside")), E_OUTPUT);
}

static void seconds_of_the_work_replace_those_of_the_start(void)
{
    const Envelope e = example();
    H5File h;
    FitsFile f = {0};
    double in_h5 = -1, in_fits = -1;
    bool good = false, there = false;
    write_h5(path_of("long.h5"), &e);
    if (!CHECK_OK(h5_modify(&h, path_of("long.h5"), NULL))) return;
    CHECK_OK(artefact_put_seconds(&h));
    CU_ASSERT(h5_get_attr_f64(&in_h5, &h, "/", "seconds") && in_h5 != e.seconds && in_h5 <= log_elapsed());
    h5_close(&h);
    if (!write_fits(path_of("long.fits"), &e) || !CHECK_OK(fitsfile_reopen(&f, path_of("long.fits")))) return;
    CHECK_OK(artefact_put_seconds_fits(&f));
    CHECK_OK(fitsfile_finish(&f));
    if (!CHECK_OK(fitsfile_open(&f, path_of("long.fits")))) return;
    CU_ASSERT(fitsfile_get_f64(&in_fits, &f, "SECONDS") && in_fits != e.seconds);
    CHECK_OK(fitsfile_verify(&f, &good, &there));
    CU_ASSERT(good && there);
    fitsfile_close(&f);
}

TEST_MAIN("artefact", {"envelopes come back", envelopes_come_back},
          {"wrong kinds and versions are refused, naming the stage that helps",
           wrong_kinds_and_versions_are_refused_with_the_stage_that_helps},
          {"current means: kind, version and fingerprint agree", currency_means_kind_version_and_fingerprint},
          {"FITS headers carry the envelope", fits_headers_carry_the_envelope},
          {"seconds of the work replace those of the start", seconds_of_the_work_replace_those_of_the_start},
          {"files get their name when they are whole", files_get_their_name_when_whole})
