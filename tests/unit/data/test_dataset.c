/* test_dataset.c - dataset.h5: what was written is what is read; samples are the entries that can be trained with; damage
   is told by name. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "data/dataset.h"
#include "io/seal.h"
#include "test_main.h"

enum { ROWS = 1700 }; /* of the catalogue: the index of spectra is read in two pieces */
static const int32_t fatal[N_MODALITIES] = {IMAGE_NO_BRICK | IMAGE_MASKED, SPECTRUM_NO_FILE};
static const char *const group[N_MODALITIES] = {"images", "spectra"};
static const Envelope envelope = {.made_by = "pack", .config = "", .fingerprint = {"11112222333344445555666677778888"}};

static const char *path_of(const char *name)
{
    static char path[4][H5_PATH];
    static int next;
    char *out = path[next++ & 3];
    snprintf(out, H5_PATH, "%s/%s", test_folder(), name);
    return out;
}

/* What a catalogue row has, and what is in its entries. */
static bool has(Modality m, int64_t row) { return m == MODALITY_IMAGE ? row % 170 < 2 : row % 3 != 1; }
static int split_of(int64_t row) { return (int)(row / 170 % N_SPLITS); }
static int32_t flag_of(Modality m, int64_t row)
{
    if (m == MODALITY_IMAGE) return row % 4 == 3 ? IMAGE_NO_BRICK : IMAGE_MOSAIC;
    return row % 7 == 2 ? SPECTRUM_NO_FILE : SPECTRUM_BAD_PIXELS;
}
static bool is_sample(Modality m, int64_t row) { return has(m, row) && !(flag_of(m, row) & fatal[m]); }
static float number_of(Modality m, int64_t row, int64_t k)
{
    return is_sample(m, row) ? (float)(row * 2 + m) + (float)(k % 977) / 1024 : NAN;
}

/* Entries [first, first + n) of all that the rows have. */
static void make_entries(DatasetEntries *e, Modality m, int64_t first, int64_t n)
{
    int64_t entry = -1, k = 0;
    CHECK_OK(dataset_entries(e, n, &test_arena));
    CHECK_OK(arena_new(&e->numbers, &test_arena, n * dataset_numbers[m]));
    for (int64_t row = 0; row < ROWS; row++) {
        entry += has(m, row);
        if (!has(m, row) || entry < first || entry >= first + n) continue;
        e->row[k] = row;
        e->targetid[k] = 1000 + row;
        e->split[k] = (uint8_t)split_of(row);
        e->flag[k] = flag_of(m, row);
        for (int64_t i = 0; i < dataset_numbers[m]; i++) e->numbers[k * dataset_numbers[m] + i] = number_of(m, row, i);
        k++;
    }
}

static void count(int64_t n[N_MODALITIES])
{
    n[0] = n[1] = 0;
    for (int64_t row = 0; row < ROWS; row++)
        for (int m = 0; m < N_MODALITIES; m++) n[m] += has((Modality)m, row);
}

/* The whole file in two pieces, the second one first; `left` entries of each modality stay unwritten. */
static void write_dataset(const char *path, int64_t left)
{
    Dataset d;
    int64_t n[N_MODALITIES], middle[N_MODALITIES], start[N_MODALITIES];
    DatasetEntries entries[N_MODALITIES];
    count(n);
    CHECK_OK(dataset_create(&d, path, &envelope, n, fatal, &par_alone, &test_arena));
    for (int piece = 1; piece >= 0; piece--) {
        for (int m = 0; m < N_MODALITIES; m++) {
            middle[m] = n[m] / 2;
            start[m] = piece ? middle[m] : left;
            make_entries(&entries[m], (Modality)m, start[m], (piece ? n[m] : middle[m]) - start[m]);
        }
        CHECK_OK(dataset_write(&d, start, entries, &test_arena));
    }
    CHECK_OK(dataset_close(&d));
}

static void samples_are_the_entries_of_the_split_without_fatal_flags(void)
{
    Dataset d;
    write_dataset(path_of("whole.h5"), 0);
    CHECK_OK(dataset_open(&d, path_of("whole.h5"), &test_arena));
    CU_ASSERT_STRING_EQUAL(d.fingerprint.text, envelope.fingerprint.text);
    for (int kind = SAMPLES_SPECTRA; kind <= SAMPLES_PAIRS; kind++)
        for (int split = 0; split < N_SPLITS; split++) {
            Sample *s = NULL;
            int64_t n = 0, k = 0, entry[N_MODALITIES] = {-1, -1};
            CHECK_OK(dataset_samples(&s, &n, &d, (SampleKind)kind, (Split)split, &test_arena));
            for (int64_t row = 0; row < ROWS; row++) {
                for (int m = 0; m < N_MODALITIES; m++) entry[m] += has((Modality)m, row);
                const bool image = is_sample(MODALITY_IMAGE, row), spectrum = is_sample(MODALITY_SPECTRUM, row);
                const bool wanted = kind == SAMPLES_SPECTRA  ? spectrum
                                    : kind == SAMPLES_IMAGES ? image
                                                             : image && spectrum;
                if (!wanted || split_of(row) != split) continue;
                CU_ASSERT_FATAL(k < n);
                CU_ASSERT_EQUAL(s[k].targetid, 1000 + row);
                CU_ASSERT_EQUAL(s[k].image, kind == SAMPLES_SPECTRA ? -1 : entry[MODALITY_IMAGE]);
                CU_ASSERT_EQUAL(s[k].spectrum, kind == SAMPLES_IMAGES ? -1 : entry[MODALITY_SPECTRUM]);
                k++;
            }
            CU_ASSERT_EQUAL(k, n);
            CU_ASSERT(k > 0);
        }
    CHECK_OK(dataset_close(&d));
}

static void numbers_come_back_as_they_were_written(void)
{
    Dataset d;
    Sample *s = NULL;
    float *x = NULL;
    int64_t n = 0, wrong = 0, rows = 0, union_of = 0, torn = 0;
    CHECK_OK(dataset_open(&d, path_of("whole.h5"), &test_arena));
    CHECK_OK(arena_new(&x, &test_arena, IMAGE_NUMBERS));
    CHECK_OK(dataset_samples(&s, &n, &d, SAMPLES_PAIRS, SPLIT_VAL, &test_arena));
    for (int64_t k = 0; k < n; k++) {
        CHECK_OK(dataset_spectrum(x, &d, s[k].spectrum));
        for (int64_t i = 0; i < GRID_PIXELS; i++)
            wrong += x[i] != number_of(MODALITY_SPECTRUM, s[k].targetid - 1000, i);
        CHECK_OK(dataset_image(x, &d, s[k].image));
        for (int64_t i = 0; i < IMAGE_NUMBERS; i++) wrong += x[i] != number_of(MODALITY_IMAGE, s[k].targetid - 1000, i);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    for (int m = 0; m < N_MODALITIES; m++) {
        CHECK_OK(dataset_count_torn(&torn, &d, (Modality)m, 0, 12, &test_arena));
        CU_ASSERT_EQUAL(torn, 0);
    }
    for (int64_t row = 0; row < ROWS; row++) union_of += has(MODALITY_IMAGE, row) || has(MODALITY_SPECTRUM, row);
    CHECK_OK(dataset_count_rows(&rows, &d, &test_arena));
    CU_ASSERT_EQUAL(rows, union_of);
    CHECK_OK(dataset_close(&d));
}

/* A bit of the value at `at` of the bytes of a float that stands at `value` only once. */
static void damage(const char *path, float value)
{
    FILE *f = fopen(path, "r+b");
    float x = 0;
    CU_ASSERT_FATAL(f != NULL);
    while (fread(&x, sizeof x, 1, f) == 1 && x != value) {}
    CU_ASSERT_EQUAL_FATAL(x, value);
    x = nextafterf(x, 0);
    fseek(f, -(long)sizeof x, SEEK_CUR);
    fwrite(&x, sizeof x, 1, f);
    fclose(f);
}

static void a_damaged_entry_is_refused_by_name_and_the_others_are_read(void)
{
    const char *path = path_of("damaged.h5");
    Dataset d;
    float *x = NULL;
    int64_t row = 6, entry = -1, good = 0, n[N_MODALITIES];
    Fingerprint before, after;
    count(n);
    write_dataset(path, 0);
    for (int64_t i = 0; i <= row; i++) entry += has(MODALITY_SPECTRUM, i);
    CHECK_OK(dataset_open(&d, path, &test_arena));
    CHECK_OK(seal_sum(&before, &d.file, &par_alone, &test_arena));
    CHECK_OK(dataset_close(&d));
    damage(path, number_of(MODALITY_SPECTRUM, row, 500));

    CHECK_OK(dataset_open(&d, path, &test_arena));
    CHECK_OK(arena_new(&x, &test_arena, GRID_PIXELS));
    CU_ASSERT_EQUAL(dataset_spectrum(x, &d, entry), E_INPUT);
    char name[64];
    snprintf(name, sizeof name, "entry %lld of spectra/flux", (long long)entry);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, name));
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, "damaged.h5"));
    fail_clear();
    CHECK_OK(dataset_spectrum(x, &d, entry + 1));
    CHECK_OK(dataset_count_good(&good, &d, MODALITY_SPECTRUM, 0, n[MODALITY_SPECTRUM], &test_arena));
    CU_ASSERT_EQUAL(good, n[MODALITY_SPECTRUM] - 1);
    CHECK_FAILS(dataset_spectrum(x, &d, n[MODALITY_SPECTRUM]), E_INPUT);

    /* the checksum of the file goes by those of the entries: it does not read the numbers */
    CHECK_OK(seal_sum(&after, &d.file, &par_alone, &test_arena));
    CU_ASSERT_STRING_EQUAL(before.text, after.text);
    CHECK_OK(dataset_close(&d));
}

static void other_numbers_give_another_checksum_of_the_file(void)
{
    Dataset d, other;
    Fingerprint a, b;
    write_dataset(path_of("other.h5"), 0);
    CHECK_OK(dataset_modify(&other, path_of("other.h5"), &par_alone, &test_arena));
    DatasetEntries e[N_MODALITIES] = {{0}, {0}};
    make_entries(&e[MODALITY_IMAGE], MODALITY_IMAGE, 2, 1);
    e[MODALITY_IMAGE].numbers[77] += 1;
    CHECK_OK(dataset_write(&other, (int64_t[]){2, 0}, e, &test_arena));
    CHECK_OK(dataset_close(&other));
    CHECK_OK(dataset_open(&d, path_of("whole.h5"), &test_arena));
    CHECK_OK(dataset_open(&other, path_of("other.h5"), &test_arena));
    CHECK_OK(seal_sum(&a, &d.file, &par_alone, &test_arena));
    CHECK_OK(seal_sum(&b, &other.file, &par_alone, &test_arena));
    CU_ASSERT_STRING_NOT_EQUAL(a.text, b.text);
    CHECK_OK(dataset_close(&d));
    CHECK_OK(dataset_close(&other));
}

static void entries_that_were_not_written_are_not_finished(void)
{
    Dataset d;
    float *x = NULL;
    int64_t n[N_MODALITIES], finished = -1, good = 0;
    count(n);
    write_dataset(path_of("begun.h5.part"), 4);
    CHECK_OK(dataset_count_finished(&finished, path_of("begun.h5"), &test_arena));
    CU_ASSERT_EQUAL(finished, n[0] + n[1] - 8);
    CHECK_OK(dataset_count_finished(&finished, path_of("whole.h5"), &test_arena));
    CU_ASSERT_EQUAL(finished, n[0] + n[1]);
    CHECK_OK(dataset_count_finished(&finished, path_of("absent.h5"), &test_arena));
    CU_ASSERT_EQUAL(finished, 0);
    CHECK_OK(dataset_open(&d, path_of("begun.h5.part"), &test_arena));
    CHECK_OK(arena_new(&x, &test_arena, GRID_PIXELS));
    for (int m = 0; m < N_MODALITIES; m++) {
        CHECK_OK(dataset_count_good(&good, &d, (Modality)m, 0, 6, &test_arena));
        CU_ASSERT_EQUAL(good, 2);
    }
    CHECK_FAILS(dataset_spectrum(x, &d, 0), E_INPUT);
    CHECK_OK(dataset_close(&d));
}

static void a_modality_may_be_absent(void)
{
    Dataset d;
    Sample *s = NULL;
    int64_t n = -1;
    DatasetEntries e[N_MODALITIES] = {{0}, {0}};
    CHECK_OK(dataset_create(&d, path_of("one.h5"), &envelope, (int64_t[]){0, 5}, fatal, &par_alone, &test_arena));
    make_entries(&e[MODALITY_SPECTRUM], MODALITY_SPECTRUM, 0, 5);
    CHECK_OK(dataset_write(&d, (int64_t[]){0, 0}, e, &test_arena));
    CHECK_OK(dataset_close(&d));
    CHECK_OK(dataset_open(&d, path_of("one.h5"), &test_arena));
    CU_ASSERT_EQUAL(d.n[MODALITY_IMAGE], 0);
    CU_ASSERT_EQUAL(d.n[MODALITY_SPECTRUM], 5);
    CHECK_OK(dataset_samples(&s, &n, &d, SAMPLES_PAIRS, SPLIT_TRAIN, &test_arena));
    CU_ASSERT_EQUAL(n, 0);
    CHECK_OK(dataset_samples(&s, &n, &d, SAMPLES_SPECTRA, SPLIT_TRAIN, &test_arena));
    CU_ASSERT_EQUAL(n, 4); /* one is fatal */
    CHECK_OK(dataset_close(&d));
}

static void files_of_another_kind_or_shape_are_refused(void)
{
    H5File f;
    Dataset d;
    Envelope other = envelope;
    other.kind = "embeddings";
    other.version = 1;
    CHECK_OK(h5_create(&f, path_of("kind.h5"), NULL));
    CHECK_OK(artefact_write(&f, &other));
    CHECK_OK(h5_close(&f));
    CU_ASSERT_EQUAL(dataset_open(&d, path_of("kind.h5"), &test_arena), E_INPUT);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, "astroclip pack"));
    fail_clear();

    other.kind = dataset_kind;
    other.version = DATASET_VERSION;
    CHECK_OK(h5_create(&f, path_of("shape.h5"), NULL));
    CHECK_OK(artefact_write(&f, &other));
    CHECK_OK(h5_put(&f, "spectra/flux", H5_F32, 0, (float[12]){0}, (int64_t[]){3, 4}, 2));
    CHECK_OK(h5_close(&f));
    CU_ASSERT_EQUAL(dataset_open(&d, path_of("shape.h5"), &test_arena), E_INPUT);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, "spectra/flux"));
    fail_clear();
    CHECK_FAILS(dataset_open(&d, path_of("absent.h5"), &test_arena), E_INPUT);
}

static void rows_out_of_order_are_damage(void)
{
    for (int m = 0; m < N_MODALITIES; m++) {
        H5File f;
        Dataset d;
        Sample *s = NULL;
        char name[64];
        int64_t n = 0;
        write_dataset(path_of("order.h5"), 0);
        CHECK_OK(h5_modify(&f, path_of("order.h5"), NULL));
        snprintf(name, sizeof name, "%s/row", group[m]);
        CHECK_OK(h5_write_rows(&f, name, H5_I64, 0, (int64_t[]){5}, 9, 1));
        CHECK_OK(h5_close(&f));
        CHECK_OK(dataset_open(&d, path_of("order.h5"), &test_arena));
        CU_ASSERT_EQUAL(dataset_samples(&s, &n, &d, SAMPLES_PAIRS, SPLIT_TRAIN, &test_arena), E_INPUT);
        CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, name));
        fail_clear();
        CHECK_OK(dataset_close(&d));
    }
}

TEST_MAIN("dataset",
          {"samples are the entries of the split without fatal flags",
           samples_are_the_entries_of_the_split_without_fatal_flags},
          {"numbers come back as they were written", numbers_come_back_as_they_were_written},
          {"a damaged entry is refused by name and the others are read",
           a_damaged_entry_is_refused_by_name_and_the_others_are_read},
          {"other numbers give another checksum of the file", other_numbers_give_another_checksum_of_the_file},
          {"entries that were not written are not finished", entries_that_were_not_written_are_not_finished},
          {"a modality may be absent", a_modality_may_be_absent},
          {"files of another kind or shape are refused", files_of_another_kind_or_shape_are_refused},
          {"rows out of order are damage", rows_out_of_order_are_damage})
