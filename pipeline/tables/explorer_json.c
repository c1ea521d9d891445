/* explorer_json.c - what the explorer says of an object, as JSON. */
#include "explorer_impl.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

void explorer_put_text(FILE *f, const char *text)
{
    fputc('"', f);
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(f, "\\%c", c);
        else if (c < ' ' || c == '<')
            fprintf(f, "\\u%04x", c);
        else
            fputc(c, f);
    }
    fputc('"', f);
}

void explorer_put_number(FILE *f, double x)
{
    if (isfinite(x))
        fprintf(f, "%.9g", x);
    else
        fputs("null", f);
}

static void put_cell(FILE *f, const char *name, const char *text, size_t cell)
{
    char copy[16];
    snprintf(copy, sizeof copy, "%.*s", (int)strnlen(text, cell), text);
    fprintf(f, ",\"%s\":", name);
    explorer_put_text(f, copy);
}

/* What the ridge says of a row from each modality. */
static Status put_predicted(FILE *f, Explorer *x, int64_t row)
{
    bool any = false;
    fputs(",\"predicted\":{", f);
    for (int k = 0; k < N_LABELS && x->predictions; k++) {
        float value[N_MODALITIES] = {NAN, NAN};
        bool has = false;
        for (int m = 0; m < N_MODALITIES; m++) {
            char name[96];
            snprintf(name, sizeof name, "astroclip_%s/ridge/%s/value", modality_name[m], label_table[k].name);
            if (!predictions_have(x->predictions, name)) continue;
            TRY(predictions_read(&value[m], x->predictions, name, 1, row, 1));
            has = true;
        }
        if (!has) continue;
        fprintf(f, "%s\"%s\":{\"image\":", any ? "," : "", label_table[k].name);
        explorer_put_number(f, value[MODALITY_IMAGE]);
        fputs(",\"spectrum\":", f);
        explorer_put_number(f, value[MODALITY_SPECTRUM]);
        fputc('}', f);
        any = true;
    }
    fputc('}', f);
    return OK;
}

Status explorer_put_object(FILE *f, Explorer *x, int64_t row)
{
    CatalogRow r;
    TRY(catalog_read(&r, x->catalog, row, 1, x->arena));
    fprintf(f, "\"row\":%" PRId64 ",\"targetid\":\"%" PRId64 "\"", row, r.targetid);
    put_cell(f, "survey", r.survey, sizeof r.survey);
    put_cell(f, "program", r.program, sizeof r.program);
    put_cell(f, "spectype", r.spectype, sizeof r.spectype);
    fputs(",\"ra\":", f);
    explorer_put_number(f, r.ra);
    fputs(",\"dec\":", f);
    explorer_put_number(f, r.dec);
    fputs(",\"z\":", f);
    explorer_put_number(f, r.z);
    fputs(",\"r\":", f);
    explorer_put_number(f, r.flux[1] > 0 ? 22.5 - 2.5 * log10(r.flux[1]) : NAN);
    for (int m = 0; m < N_MODALITIES; m++)
        fprintf(f, ",\"%s\":%s", modality_name[m], x->norm[m] && x->norm[m][row] > 0 ? "true" : "false");
    fputs(",\"labels\":{", f);
    for (int k = 0; k < N_LABELS; k++) {
        fprintf(f, "%s\"%s\":", k ? "," : "", label_table[k].name);
        explorer_put_number(f, r.label[k]);
    }
    fputc('}', f);
    return put_predicted(f, x, row);
}
