/* datamodel.c - the page of the data model. */
#include "tables/datamodel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void underline(FILE *f, const char *title, char with)
{
    fprintf(f, "\n%s\n", title);
    for (size_t i = 0; i < strlen(title); i++) fputc(with, f);
    fputs("\n\n", f);
}

/* A row of `=` or cells; reStructuredText's simple tables are aligned. */
enum { MOST_CELLS = 4 };
static void put_rule(FILE *f, const int *width, int n)
{
    for (int k = 0; k < n; k++) {
        for (int i = 0; i < width[k]; i++) fputc('=', f);
        fputc(k + 1 < n ? ' ' : '\n', f);
    }
}

static void put_cells(FILE *f, const int *width, int n, const char *const *cell)
{
    for (int k = 0; k < n; k++) {
        if (k + 1 < n)
            fprintf(f, "%-*s ", width[k], cell[k][0] ? cell[k] : "\\ ");
        else
            fprintf(f, "%s\n", cell[k]);
    }
}

static const int keyword_width[] = {12, 33, 5, 50}, column_width[] = {54, 9, 8, 60}, content_width[] = {6, 12, 9, 60};

/* DESI's name of a TFORM. */
static void type_name(char out[16], const char *format)
{
    char *end;
    const long n = strtol(format, &end, 10);
    switch (*end) {
    case 'K': strcpy(out, "int64"); break;
    case 'J': strcpy(out, "int32"); break;
    case 'I': strcpy(out, "int16"); break;
    case 'D': strcpy(out, "float64"); break;
    case 'E': strcpy(out, "float32"); break;
    case 'L': strcpy(out, "logical"); break;
    default: snprintf(out, 16, "char[%ld]", end == format ? 1 : n);
    }
}

/* The unit stands in a column of its own, not in front of the comment. */
static const char *without_unit(const char *comment)
{
    const char *end = comment[0] == '[' ? strstr(comment, "] ") : NULL;
    return end ? end + 2 : comment;
}

static void put_columns(FILE *f, const FitsColumn *column, int n)
{
    static const char *const head[] = {"Name", "Type", "Units", "Description"};
    fputs("Required Data Table Columns\n~~~~~~~~~~~~~~~~~~~~~~~~~~~\n\n", f);
    put_rule(f, column_width, 4);
    put_cells(f, column_width, 4, head);
    put_rule(f, column_width, 4);
    for (int i = 0; i < n; i++) {
        char type[16];
        type_name(type, column[i].format);
        put_cells(f, column_width, 4,
                  (const char *[]){column[i].name, type, column[i].unit, without_unit(column[i].comment)});
    }
    put_rule(f, column_width, 4);
}

static void put_keywords(FILE *f, const char *const (*key)[4], int n)
{
    static const char *const head[] = {"KEY", "Example Value", "Type", "Comment"};
    fputs("Required Header Keywords\n~~~~~~~~~~~~~~~~~~~~~~~~\n\n", f);
    put_rule(f, keyword_width, 4);
    put_cells(f, keyword_width, 4, head);
    put_rule(f, keyword_width, 4);
    for (int i = 0; i < n; i++) put_cells(f, keyword_width, 4, key[i]);
    put_rule(f, keyword_width, 4);
    fputc('\n', f);
}

static const char *const primary_keys[][4] = {
    {"PROGVER", "0.1.0", "str", "version of the program"},
    {"FPRINT", "0123456789abcdef0123456789abcdef", "str", "of all that the file was made from"},
    {"SPECPROD", "iron", "str", "spectroscopic production"},
    {"ROWSIN", "2143", "int", "rows of the catalogue"},
    {"FPCAT", "0123456789abcdef0123456789abcdef", "str", "fingerprint of catalog.h5"},
    {"FPEMB", "0123456789abcdef0123456789abcdef", "str", "fingerprint of embeddings.h5"},
    {"FPPROBE", "0123456789abcdef0123456789abcdef", "str", "fingerprint of probes.h5"},
    {"CHECKSUM", "ZfE2ZZD2ZdD2ZZD2", "str", "HDU checksum"},
    {"DATASUM", "0", "str", "data unit checksum"},
};
static const char *const table_keys[][4] = {
    {"HPXNSIDE", "64", "int", "of HEALPIX"},
    {"HPXNEST", "T", "bool", "of HEALPIX"},
    {"IFLAGnn", "NO_BRICK: ...", "str", "meaning of bit nn of IMAGE_FLAG"},
    {"SFLAGnn", "NO_FILE: ...", "str", "meaning of bit nn of SPECTRUM_FLAG"},
    {"PFLAGnn", "NO_IMAGE: ...", "str", "meaning of bit nn of PRED_FLAG"},
    {"CHECKSUM", "ZfE2ZZD2ZdD2ZZD2", "str", "HDU checksum"},
    {"DATASUM", "123456789", "str", "data unit checksum"},
};
static const char *const sum_keys[][4] = {{"CHECKSUM", "ZfE2ZZD2ZdD2ZZD2", "str", "HDU checksum"},
                                          {"DATASUM", "123456789", "str", "data unit checksum"}};
#define N_OF(x) ((int)(sizeof(x) / sizeof *(x)))

static void put_hdu(FILE *f, int number, const char *name, const char *summary, const char *const (*key)[4], int n_keys)
{
    char title[16];
    snprintf(title, sizeof title, "HDU%d", number);
    underline(f, title, '-');
    fprintf(f, "EXTNAME = %s\n\n%s\n\n", name, summary);
    put_keywords(f, key, n_keys);
}

static void put_page(FILE *f, const OutFiles *o, const PropertyLayout *l)
{
    static const char *const head[] = {"Number", "EXTNAME", "Type", "Contents"};
    const char *example = strrchr(o->file[0].path, '/') + 1;
    const char *stem = o->stem;
    const bool morphology = l[TABLE_MORPHOLOGY].n > 0;
    char title[128];
    snprintf(title, sizeof title, "%s", stem);
    for (size_t i = 0; i < strlen(title); i++) fputc('=', f);
    fprintf(f, "\n%s\n", title);
    for (size_t i = 0; i < strlen(title); i++) fputc('=', f);
    fputs("\n\n:Summary: Properties of galaxies read from AstroCLIP embeddings of images and spectra, with errors and "
          "flags.\n",
          f);
    fprintf(f, ":Naming Convention: ``%s``\n", example);
    fprintf(f, ":Regex: ``%s.*\\.fits``\n", stem);
    fputs(":File Type: FITS\n", f);
    underline(f, "Contents", '=');
    put_rule(f, content_width, 4);
    put_cells(f, content_width, 4, head);
    put_rule(f, content_width, 4);
    put_cells(f, content_width, 4, (const char *[]){"HDU0_", "PRIMARY", "IMAGE", "provenance"});
    put_cells(f, content_width, 4, (const char *[]){"HDU1_", "PROPERTIES", "BINTABLE", "one row per object"});
    put_cells(f, content_width, 4,
              (const char *[]){"HDU2_", "PROBES", "BINTABLE", "what was fitted, and how good it is"});
    if (morphology)
        put_cells(f, content_width, 4,
                  (const char *[]){"HDU3_", "MORPHOLOGY", "BINTABLE", "shares of votes, row-matched to HDU1"});
    put_rule(f, content_width, 4);
    underline(f, "FITS Header Units", '=');
    put_hdu(f, 0, "PRIMARY", "Provenance alone.", primary_keys, N_OF(primary_keys));
    fputs("Empty HDU.\n", f);
    put_hdu(f, 1, "PROPERTIES", "Keys, properties, errors, flags.", table_keys, N_OF(table_keys));
    put_columns(f, l[TABLE_PROPERTIES].fits, l[TABLE_PROPERTIES].n);
    put_hdu(f, 2, "PROBES", "One row per probe.", sum_keys, N_OF(sum_keys));
    int n;
    const FitsColumn *probes = headers_probe_columns(&n);
    put_columns(f, probes, n);
    if (!morphology) return;
    put_hdu(f, 3, "MORPHOLOGY", "What volunteers of Galaxy Zoo DECaLS would say.", sum_keys, N_OF(sum_keys));
    put_columns(f, l[TABLE_MORPHOLOGY].fits, l[TABLE_MORPHOLOGY].n);
}

static Status write_page(const char *part, const OutFiles *o, const PropertyLayout *l)
{
    FILE *f = fopen(part, "w");
    if (!f) return FAIL(E_OUTPUT, "cannot create %s: %s", part, strerror(errno));
    put_page(f, o, l);
    const bool bad = ferror(f) != 0;
    if (fclose(f) != 0 || bad) return FAIL(E_OUTPUT, "%s: cannot be written: %s", part, strerror(errno));
    return OK;
}

Status datamodel_write(const OutFiles *o, const PropertyLayout *l, const TablesConfig *c, const Par *par, Arena *a)
{
    char *path = NULL, *part = NULL;
    if (o->n_files == 0) return OK;
    Status st = c->layout == LAYOUT_VAC ? arena_printf(&path, a, "%s/doc/%s.rst", o->base, o->stem)
                                        : arena_printf(&path, a, "%s/%s.rst", o->base, o->stem);
    if (st == OK) st = arena_printf(&part, a, "%s.part", path);
    TRY(par_agree(par, st));
    TRY(artefact_make_folder_of(par, path));
    if (par->rank == 0) st = write_page(part, o, l);
    if (st != OK) remove(part);
    TRY(par_agree(par, st));
    return artefact_publish(par, path);
}
