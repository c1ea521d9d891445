/* mlp.h - settings of the few-shot MLP (spec.md 6.3); the published ones are the defaults. */
#ifndef PROBE_MLP_H
#define PROBE_MLP_H

#include "core/config.h"

typedef struct {
    ConfigReals hidden, hidden_z_image; /* widths; for redshifts from images */
    double dropout, lr;
    int64_t epochs, batch, parts;
    bool heteroscedastic; /* a variance for each row beside its value */
} MlpConfig;
extern const ConfigField mlp_fields[];
Status mlp_check(const MlpConfig *c);

#endif
