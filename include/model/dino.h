/* dino.h - self-distillation with masked patches, one replica's batch (spec.md 4.6-4.8): a teacher says what it sees in whole
   crops, a student has to say the same from other crops, from small ones and of hidden patches. Local.

   Both are the same encoder and head; the teacher's weights are an average of the student's. What the teacher sees is kept as
   directions (rows, bottleneck): their logits, a row of all prototypes each, are made in pieces where they are needed. */
#ifndef MODEL_DINO_H
#define MODEL_DINO_H

#include "model/crops.h"
#include "model/dinohead.h"
#include "model/patchmask.h"
#include "model/vit.h"

typedef struct {
    double student_temp;                           /* 0.1 */
    double dino_weight, ibot_weight, koleo_weight; /* 1, 1, 0.1 */
} DinoLosses;

typedef struct {
    const Vit *vit; /* borrowed */
    DinoHead head;
    DinoLosses losses;
} Dino;

/* The crops of n images: crop-major, so crop c of image i is number c n + i. */
typedef struct {
    int64_t n, n_local, global_size, local_size;
    float *global;    /* (2, n, 3, global_size, global_size) */
    float *local;     /* (n_local, n, 3, local_size, local_size) */
    PatchMasks masks; /* of the global crops */
} DinoBatch;
Status dino_batch(DinoBatch *out, const CropsConfig *c, int64_t n, Arena *a); /* room; no masks yet */

/* ---- the teacher ---- */

enum { DINO_CLASS, DINO_PATCH, DINO_PARTS }; /* what class tokens say, what patches say: balanced each by itself */

typedef struct {
    int64_t rows[DINO_PARTS]; /* 2 n, row k being the view that is not crop k; hidden patches */
    real *z[DINO_PARTS];      /* (rows, bottleneck) */
    real *features;           /* (2 n, D) class tokens, crop by crop */
    real *w;                  /* (prototypes, bottleneck) */
} DinoTeacher;

/* What the weights of `teacher` make of the batch; in `a`. */
Status dino_teach(DinoTeacher *out, const Dino *teacher, const DinoBatch *b, Arena *a);

/* Sums of its logits over rows: sum[part] (prototypes) is added into. */
Status dino_centre_sums(double *const sum[DINO_PARTS], const DinoTeacher *t, const DinoHead *h, Arena *step);
/* distill_most and distill_sinkhorn of its logits (nn/distill.h); most[part] of no rows is -HUGE_VAL. */
Status dino_most(double most[DINO_PARTS], const DinoTeacher *t, const DinoHead *h, double temp, Arena *step);
Status dino_sinkhorn_sums(double *const sum[DINO_PARTS], const DinoTeacher *t, const DinoHead *h,
                          double *const factor[DINO_PARTS], const double most[DINO_PARTS], double temp, Arena *step);

/* How its logits become probabilities. */
typedef struct {
    double temp;
    const double *offset[DINO_PARTS]; /* (prototypes) */
} DinoTargets;

/* ---- the student ---- */

typedef struct {
    double local, global, koleo, ibot; /* parts of the loss, with their weights: they add up to it */
    double entropy; /* of the mean of what the teacher says of whole crops: log of how many prototypes are in use */
    double rank;    /* directions that the teacher's features of whole crops fill */
} DinoTerms;

typedef struct {
    const VitDrop *drop_global, *drop_local; /* NULL = nothing is dropped */
    bool recompute;
    const GradientHook *hook; /* may be NULL */
} DinoPass;

/* Adds the gradients of the loss to d_p; NULL = the loss alone. */
Status dino_learn(DinoTerms *out, real *d_p, const Dino *student, const DinoBatch *b, const DinoTeacher *t,
                  const DinoTargets *targets, const DinoPass *how, Arena *step);

/* ---- rates ----
   What multiplies learning rate and weight decay of each parameter of the table (n_params). Deeper blocks learn faster, by
   1 / layer_decay from block to block, patches slower by patch_embed; biases, norms and layer scales are not decayed. With
   `frozen` the prototypes do not move. */
void dino_lr_scale(double *scale, const Dino *d, const Params *p, double layer_decay, double patch_embed, bool frozen);
void dino_decay_scale(double *scale, const Params *p);

/* Reals beside weights and gradients, for plans, with a share `hidden` of all patches masked: what is kept of a replica from the
   teacher's pass on, and what the student's pass of one takes besides. */
double dino_kept_reals(const Dino *d, const CropsConfig *c, int64_t n, double hidden);
double dino_learn_reals(const Dino *d, const CropsConfig *c, int64_t n, double hidden, bool recompute);

#endif
