/* compare_impl.h - what the files of compare share. compare.c opens and tells of envelopes, compare_rows.c compares row
   by row, compare_aside.c what is not rows: manifests, rejected rows, probes, tensors. */
#ifndef TABLES_COMPARE_IMPL_H
#define TABLES_COMPARE_IMPL_H

#include "tables/compare.h"
#include "tables/rowfile.h"

typedef struct {
    RowFile a, b;
    FILE *out, *csv; /* csv may be NULL */
    KeyPairs pairs;
    bool differs;
    Arena *arena;
} Comparison;

/* How far apart numbers are: the largest difference, absolute and relative to the larger of the two; pairs of which one
   side alone is NaN. */
typedef struct {
    int64_t n, one_sided; /* differing pairs, these among them */
    double absolute, relative;
} Distance;
/* Adds n pairs; true when any differs. */
bool distance_add(Distance *d, const double *x, const double *y, int64_t n);
/* "largest difference 0.1 (relative 0.01), 3 NaN on one side only" */
void distance_print(FILE *out, const Distance *d);

Status compare_rows(Comparison *c);

/* Tables of a catalogue beside its rows. */
Status compare_manifest(Comparison *c);
Status compare_rejected(Comparison *c);
/* Fits of probes.h5; datasets of any other file. */
Status compare_probes(Comparison *c);
Status compare_datasets(Comparison *c);

#endif
