/* conv_att.h - the supervised baseline for spectra (spec.md 6.8): four convolutions along the flux, each with instance norm
   and PReLU, pooled between; half of the last channels say where to look for the other half (a softmax over what is left of
   the spectrum); a small network makes n_out numbers of it. Nothing is normalised before. Local. */
#ifndef MODEL_CONV_ATT_H
#define MODEL_CONV_ATT_H

#include "nn/conv.h"
#include "nn/params.h"

enum { CONV_ATT_STAGES = 4, CONV_ATT_HEADS = 16, CONV_ATT_HIDDEN = 32, CONV_ATT_PARAMS = 20 };

typedef struct {
    int64_t pixels; /* of a spectrum */
    int64_t n_out;
} ConvAttConfig;

typedef struct {
    ConvAttConfig config;
    Params *params; /* borrowed: the table it was declared in */
    struct {
        Conv conv;
        int64_t weight, bias, slope;
    } stage[CONV_ATT_STAGES];
    int64_t weight[3], bias[3], slope[2]; /* of the small network */
} ConvAtt;

/* Declares its parameters behind `prefix`. E_CONFIG when a spectrum is too short. */
Status conv_att_declare(ConvAtt *out, const ConvAttConfig *c, Params *p, const char *prefix);
/* First values: PyTorch's defaults, slopes 0.25. */
void conv_att_init(const ConvAtt *m, uint64_t seed);

/* What the backward pass needs of one spectrum, in the step's arena. */
typedef struct {
    struct {
        const real *x;          /* what the convolution is given */
        real *y, *normal, *out; /* (length, channels): behind convolution, norm, PReLU */
        real *mean, *var;
        int32_t *from; /* of the pool behind it */
    } stage[CONV_ATT_STAGES];
    real *weights;               /* (length, 16): the softmax over the length of channels 16 .. 31 */
    real *pooled;                /* (16) */
    real *before[2], *hidden[2]; /* (32) around PReLU */
} ConvAttTrace;

/* out (n_out) of one spectrum flux (pixels). Its channels lie in t->stage[3].out (conv_att_length, 32). */
Status conv_att_forward(real *out, ConvAttTrace *t, const ConvAtt *m, const real *flux, Arena *step);
/* Adds to the gradients d_p of the table. */
Status conv_att_backward(real *d_p, const ConvAttTrace *t, const ConvAtt *m, const real *d_out, Arena *step);

int64_t conv_att_length(const ConvAtt *m); /* positions behind the last stage: 9 of 7781 pixels */

#endif
