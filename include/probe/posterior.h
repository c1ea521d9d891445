/* posterior.h - settings of the flow ensemble (spec.md 6.5); the published ones are the defaults. */
#ifndef PROBE_POSTERIOR_H
#define PROBE_POSTERIOR_H

#include "core/config.h"

typedef struct {
    int64_t members, epochs, batch, parts;
    double lr, lr_last;
    int64_t hidden_min, hidden_max; /* width of a member's networks: drawn, uniform in its logarithm */
    int scale;                      /* POSTERIOR_SCALE_*: how features are standardised */
    int64_t samples;                /* draws of each row's posterior kept in predictions.h5 */
} PosteriorConfig;
extern const ConfigField posterior_fields[];

enum { POSTERIOR_MEMBERS = 64 };
enum { POSTERIOR_SCALE_FEATURE, POSTERIOR_SCALE_ALL };

#endif
