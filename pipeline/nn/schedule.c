/* schedule.c - the two families of schedules of the released trainings. */
#include "nn/schedule.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

/* From base (share 0) to last (share 1). */
static double half_cosine(double base, double last, double share)
{
    return last + 0.5 * (base - last) * (1 + cos(pi * share));
}

double schedule_cosine(double base, double last, int64_t t, int64_t warmup, int64_t total)
{
    if (t < warmup) return base * (double)t / (double)warmup;
    if (t >= total) return last;
    return half_cosine(base, last, (double)(t - warmup) / (double)(total - warmup));
}

double schedule_dino(const DinoSchedule *s, int64_t t)
{
    if (t < s->frozen) return 0;
    if (t < s->warmup) {
        const double span = s->warmup > 1 ? (double)(s->warmup - 1) : 1;
        return s->start + (s->base - s->start) * ((double)t / span);
    }
    if (t >= s->total) return s->last;
    return half_cosine(s->base, s->last, (double)(t - s->warmup) / (double)(s->total - s->warmup));
}
