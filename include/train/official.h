/* official.h - which of the published models a PyTorch checkpoint holds: its parts, its sizes, and the official name of each tensor (spec.md 3.1, 4.1,
   5.3, 4.11; model/moco.h). Local. */
#ifndef TRAIN_OFFICIAL_H
#define TRAIN_OFFICIAL_H

#include "io/torchfile.h"
#include "model/head.h"
#include "model/moco.h"
#include "model/specformer.h"
#include "model/vit.h"

typedef enum {
    OFFICIAL_ASTROCLIP,  /* both encoders and heads: all names as they are             */
    OFFICIAL_ASTRODINO,  /* image_encoder.backbone. alone, of a teacher file           */
    OFFICIAL_SPECFORMER, /* spectrum_encoder.backbone. alone, of its own pretraining   */
    OFFICIAL_MOCO        /* encoder_q., of MoCo v2 as Stein et al. released it         */
} OfficialKind;

typedef struct {
    OfficialKind kind;
    const char *what;   /* "AstroCLIP": for messages */
    const char *theirs; /* what the file writes ... */
    const char *ours;   /* ... for what AstroCLIP's names begin with */
    int64_t embed_dim;  /* 0 = no heads. Numbers of attention heads are in no tensor: 1 stands for them */
    VitConfig vit;
    SpecformerConfig specformer;
    MocoConfig moco; /* the size of its images is in no tensor: the preset */
    Params params;   /* official names and shapes, without values */
} OfficialModel;

/* E_INPUT when the file holds none of them, or lacks what tells a size. */
Status official_recognise(OfficialModel *out, const TorchFile *f, Arena *a);

/* A tensor that serves training only: heads of self-distillation, the scale of the alignment; of MoCo v2 what belongs to its key
   encoder and its queues, and how many batches a norm has seen. */
bool official_leaves_out(const OfficialModel *m, const char *name);

/* The tensor of the file behind an official name; NULL if absent. */
const TorchTensor *official_tensor(const OfficialModel *m, const TorchFile *f, const char *name);

/* The sizes as section `model` (of MoCo v2, `moco`) of a run file, without the numbers of heads. */
Status official_yaml(char **out, const OfficialModel *m, Arena *a);

#endif
