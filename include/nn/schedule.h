/* schedule.h - how learning rates and the like change from step to step. Step t counts from 0. Local. */
#ifndef NN_SCHEDULE_H
#define NN_SCHEDULE_H

#include <stdint.h>

/* Spec.md 3.6 (spectra, alignment): from 0 up to base in `warmup` steps, then half a cosine down to `last` at step
   `total`, and `last` from there on. */
double schedule_cosine(double base, double last, int64_t t, int64_t warmup, int64_t total);

/* Spec.md 4.9 (AstroDINO): `frozen` steps of 0 laid over a straight line from start to base, both ends included, in
   `warmup` steps, then half a cosine to `last`. */
typedef struct {
    double start, base, last;
    int64_t warmup, total, frozen;
} DinoSchedule;
double schedule_dino(const DinoSchedule *s, int64_t t);

#endif
