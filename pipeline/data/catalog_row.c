/* catalog_row.c - a row of the catalogue: what it is before anything is known, and its place among the others. */
#include <math.h>
#include <string.h>

#include "data/catalog.h"

void catalog_new_row(CatalogRow *row)
{
    memset(row, 0, sizeof *row);
    row->healpix = row->image_file = -1;
    row->zcat_primary = PRIMARY_UNKNOWN;
    row->unknown_z = UNKNOWN_ALL;
    row->ra = row->dec = row->z = row->zerr = row->deltachi2 = NAN;
    row->flux[0] = row->flux[1] = row->flux[2] = row->ebv = NAN;
    row->z_phot = row->z_phot_std = row->tsnr2_lrg = NAN;
    for (int l = 0; l < N_LABELS; l++) row->label[l] = NAN;
}

int catalog_compare(const void *a, const void *b)
{
    const CatalogRow *x = a, *y = b;
    if (x->place != y->place) return x->place < y->place ? -1 : 1;
    if (x->healpix != y->healpix) return x->healpix < y->healpix ? -1 : 1;
    if (x->uniqpix != y->uniqpix) return x->uniqpix < y->uniqpix ? -1 : 1;
    if (x->tileid != y->tileid) return x->tileid < y->tileid ? -1 : 1;
    if (x->targetid != y->targetid) return x->targetid < y->targetid ? -1 : 1;
    int order = memcmp(x->survey, y->survey, sizeof x->survey);
    return order ? order : memcmp(x->program, y->program, sizeof x->program);
}
