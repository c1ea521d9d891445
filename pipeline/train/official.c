/* official.c - a model is recognised by its names, its sizes are read off the shapes of a few tensors, and its table of parameters is the one that the
   encoders and heads themselves declare. */
#include "train/official.h"

#include <stdio.h>
#include <string.h>

enum { MAX_DIM = 65536, MAX_DEPTH = 256, FULL_NAME = 512 };
static const char image_backbone[] = "image_encoder.backbone.", spectrum_backbone[] = "spectrum_encoder.backbone.";

static bool begins(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

static bool ends(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool any_begins(const TorchFile *f, const char *start)
{
    for (int64_t i = 0; i < f->n; i++)
        if (begins(f->tensor[i].name, start)) return true;
    return false;
}

const TorchTensor *official_tensor(const OfficialModel *m, const TorchFile *f, const char *name)
{
    char theirs[FULL_NAME];
    if (!begins(name, m->ours)) return NULL;
    const int n = snprintf(theirs, sizeof theirs, "%s%s", m->theirs, name + strlen(m->ours));
    return n < FULL_NAME ? torchfile_find(f, theirs) : NULL;
}

static const char key_encoder[] = "encoder_k.";

bool official_leaves_out(const OfficialModel *m, const char *name)
{
    static const char *const buffers[] = {"queue", "queue_ptr", "val_queue", "val_queue_ptr"};
    char query[FULL_NAME];
    if (m->kind != OFFICIAL_MOCO) return begins(name, "dino_head.") || strcmp(name, "logit_scale") == 0;
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        if (strcmp(name, buffers[i]) == 0) return true;
    const bool key = begins(name, key_encoder);
    snprintf(query, sizeof query, "%s%s", key ? moco_prefix : "", name + (key ? strlen(key_encoder) : 0));
    if (key && params_find(&m->params, query)) return true;
    const char *last = strrchr(query, '.');
    if (!last || strcmp(last, ".num_batches_tracked") != 0) return false;
    snprintf(query + (last - query), sizeof query - (size_t)(last - query),
             ".running_mean"); /* of a norm that there is */
    return params_find(&m->params, query) != NULL;
}

/* Axis d of a tensor that tells a size. */
static Status size_of(int64_t *out, const OfficialModel *m, const TorchFile *f, const char *prefix, const char *name,
                      int d)
{
    char full[FULL_NAME];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    const TorchTensor *t = official_tensor(m, f, full);
    if (!t) return FAIL(E_INPUT, "%s: looks like %s, but tensor %s is missing", f->zip.path, m->what, full);
    *out = d < t->n_dims ? t->dims[d] : 0;
    if (*out < 1 || *out > MAX_DIM)
        return FAIL(E_INPUT, "%s: tensor %s has an axis of %lld elements: no size of %s", f->zip.path, t->name,
                    (long long)*out, m->what);
    return OK;
}

/* Names that begin with `start` in the official spelling and end with `end`. */
static int64_t count(const OfficialModel *m, const TorchFile *f, const char *start, const char *end)
{
    char theirs[FULL_NAME];
    int64_t n = 0;
    snprintf(theirs, sizeof theirs, "%s%s", m->theirs, start + strlen(m->ours));
    for (int64_t i = 0; i < f->n; i++) n += begins(f->tensor[i].name, theirs) && ends(f->tensor[i].name, end);
    return n;
}

static Status check_depth(const OfficialModel *m, const TorchFile *f, int64_t depth)
{
    if (depth >= 1 && depth <= MAX_DEPTH) return OK;
    return FAIL(E_INPUT, "%s: looks like %s, but has %lld blocks", f->zip.path, m->what, (long long)depth);
}

/* Blocks are named blocks.CHUNK.BLOCK or blocks.BLOCK; the first chunk tells how many there are. */
static Status vit_sizes(VitConfig *c, const OfficialModel *m, const TorchFile *f)
{
    int64_t positions = 0, side = 1;
    *c = (VitConfig){.num_heads = 1};
    TRY(size_of(&c->embed_dim, m, f, image_backbone, "cls_token", 2));
    TRY(size_of(&c->patch_size, m, f, image_backbone, "patch_embed.proj.weight", 2));
    TRY(size_of(&positions, m, f, image_backbone, "pos_embed", 1));
    while ((side + 1) * (side + 1) < positions) side++; /* positions = 1 + side^2 */
    c->image_size = side * c->patch_size;
    c->depth = count(m, f, "image_encoder.backbone.blocks.", ".ls1.gamma");
    TRY(check_depth(m, f, c->depth));
    const int64_t of_chunk = count(m, f, "image_encoder.backbone.blocks.0.", ".ls1.gamma");
    if (count(m, f, "image_encoder.backbone.blocks.0.0.", "") > 0 && of_chunk > 0)
        c->block_chunks = c->depth / of_chunk;
    return OK;
}

static Status specformer_sizes(SpecformerConfig *c, const OfficialModel *m, const TorchFile *f)
{
    int64_t input = 0;
    *c = (SpecformerConfig){.num_heads = 1};
    TRY(size_of(&c->max_len, m, f, spectrum_backbone, "position_embed.weight", 0));
    TRY(size_of(&c->embed_dim, m, f, spectrum_backbone, "position_embed.weight", 1));
    TRY(size_of(&input, m, f, spectrum_backbone, "head.weight", 0));
    c->slice_section_length = input - (specformer_input_dim(c) - c->slice_section_length);
    if (c->slice_section_length < 1)
        return FAIL(E_INPUT, "%s: head.weight predicts tokens of %lld numbers, too few", f->zip.path, (long long)input);
    c->num_layers = count(m, f, "spectrum_encoder.backbone.blocks.", ".layernorm1.weight");
    return check_depth(m, f, c->num_layers);
}

/* Which of torchvision's networks has these blocks. */
static Status moco_sizes(MocoConfig *c, const OfficialModel *m, const TorchFile *f)
{
    ResnetConfig net = {.blocks = {0}};
    int64_t have[RESNET_LAYERS];
    *c = (MocoConfig){.image_size = 96};
    TRY(size_of(&c->width, m, f, moco_prefix, "conv1.weight", 0));
    for (int layer = 0; layer < RESNET_LAYERS; layer++) {
        char start[64];
        snprintf(start, sizeof start, "%slayer%d.", moco_prefix, layer + 1);
        have[layer] = count(m, f, start, ".conv1.weight");
    }
    const bool bottleneck = official_tensor(m, f, "encoder_q.layer1.0.conv3.weight") != NULL;
    c->use_mlp = official_tensor(m, f, "encoder_q.fc.weight") == NULL;
    TRY(size_of(&c->emb_dim, m, f, moco_prefix, c->use_mlp ? "fc.2.weight" : "fc.weight", 0));
    for (c->backbone = 0; resnet_names[c->backbone]; c->backbone++) {
        resnet_shape(&net, (ResnetName)c->backbone);
        if (net.bottleneck == bottleneck && memcmp(net.blocks, have, sizeof have) == 0) return OK;
    }
    return FAIL(E_INPUT,
                "%s: looks like %s, but its layers of %lld, %lld, %lld and %lld blocks are of no known network",
                f->zip.path, m->what, (long long)have[0], (long long)have[1], (long long)have[2], (long long)have[3]);
}

static Status declare(OfficialModel *m, Arena *a)
{
    Resnet resnet;
    if (m->kind == OFFICIAL_MOCO) return moco_declare(&resnet, &m->params, &m->moco, a);
    const bool image = m->kind != OFFICIAL_SPECFORMER, spectrum = m->kind != OFFICIAL_ASTRODINO;
    Vit vit;
    Specformer specformer;
    Head head;
    TRY(params_init(&m->params,
                    (image ? vit_n_params(&m->vit) : 0) + (spectrum ? specformer_n_params(&m->specformer) : 0) +
                        2 * HEAD_PARAMS,
                    a));
    if (image) TRY(vit_declare(&vit, &m->vit, &m->params, image_backbone, a));
    if (spectrum) TRY(specformer_declare(&specformer, &m->specformer, &m->params, spectrum_backbone, a));
    if (m->kind != OFFICIAL_ASTROCLIP) return OK;
    const HeadConfig image_head = {m->embed_dim, 1, m->vit.embed_dim, false},
                     spectrum_head = {m->embed_dim, 1, m->specformer.embed_dim, true};
    TRY(head_declare(&head, &image_head, &m->params, "image_encoder."));
    return head_declare(&head, &spectrum_head, &m->params, "spectrum_encoder.");
}

Status official_recognise(OfficialModel *m, const TorchFile *f, Arena *a)
{
    *m = (OfficialModel){.kind = OFFICIAL_ASTROCLIP, .what = "AstroCLIP", .theirs = "", .ours = ""};
    const bool prefixed = any_begins(f, "backbone.patch_embed.");
    if (any_begins(f, "image_encoder.") || any_begins(f, "spectrum_encoder."))
        TRY(size_of(&m->embed_dim, m, f, "image_encoder.", "cross_attention.query", 2));
    else if (prefixed || any_begins(f, "patch_embed."))
        *m = (OfficialModel){.kind = OFFICIAL_ASTRODINO,
                             .what = "AstroDINO",
                             .theirs = prefixed ? "backbone." : "",
                             .ours = image_backbone};
    else if (any_begins(f, moco_prefix))
        *m = (OfficialModel){.kind = OFFICIAL_MOCO, .what = "MoCo v2", .theirs = "", .ours = ""};
    else if (any_begins(f, "data_embed."))
        *m =
            (OfficialModel){.kind = OFFICIAL_SPECFORMER, .what = "SpecFormer", .theirs = "", .ours = spectrum_backbone};
    else
        return FAIL(
            E_INPUT,
            "%s: its tensors are of no model known here: neither AstroCLIP (image_encoder.*, spectrum_encoder.*), "
            "AstroDINO (backbone.*), SpecFormer (data_embed.*) nor MoCo v2 (encoder_q.*)",
            f->zip.path);
    if (m->kind == OFFICIAL_ASTROCLIP || m->kind == OFFICIAL_ASTRODINO) TRY(vit_sizes(&m->vit, m, f));
    if (m->kind == OFFICIAL_ASTROCLIP || m->kind == OFFICIAL_SPECFORMER) TRY(specformer_sizes(&m->specformer, m, f));
    if (m->kind == OFFICIAL_MOCO) TRY(moco_sizes(&m->moco, m, f));
    return declare(m, a);
}

Status official_yaml(char **out, const OfficialModel *m, Arena *a)
{
    const VitConfig *v = &m->vit;
    const SpecformerConfig *s = &m->specformer;
    char aligned[64] = "", image[256] = "", spectrum[256] = "";
    if (m->kind == OFFICIAL_MOCO)
        return arena_printf(out, a, "moco: {backbone: %s, width: %lld, emb_dim: %lld, use_mlp: %s}\n",
                            resnet_names[m->moco.backbone], (long long)m->moco.width, (long long)m->moco.emb_dim,
                            m->moco.use_mlp ? "true" : "false");
    if (m->embed_dim > 0) snprintf(aligned, sizeof aligned, "  embed_dim: %lld\n", (long long)m->embed_dim);
    if (v->depth > 0)
        snprintf(image, sizeof image,
                 "  image: {kind: vit, image_size: %lld, patch_size: %lld, embed_dim: %lld, depth: %lld, block_chunks: "
                 "%lld}\n",
                 (long long)v->image_size, (long long)v->patch_size, (long long)v->embed_dim, (long long)v->depth,
                 (long long)v->block_chunks);
    if (s->num_layers > 0)
        snprintf(spectrum, sizeof spectrum,
                 "  spectrum: {kind: specformer, embed_dim: %lld, num_layers: %lld, max_len: %lld, "
                 "slice_section_length: %lld}\n",
                 (long long)s->embed_dim, (long long)s->num_layers, (long long)s->max_len,
                 (long long)s->slice_section_length);
    return arena_printf(out, a, "model:\n%s%s%s", aligned, image, spectrum);
}
