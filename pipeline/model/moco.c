/* moco.c - the network of MoCo v2. */
#include "model/moco.h"

static const ConfigField fields[] = {
    FIELD_CHOICE(MocoConfig, backbone, "resnet50", resnet_names, RESULT, "residual network"),
    FIELD_INT(MocoConfig, width, "64", 1, 4096, RESULT, "channels of its first layer"),
    FIELD_INT(MocoConfig, image_size, "96", 32, 4096, RESULT, "pixels of the centre of an image that it sees"),
    FIELD_INT(MocoConfig, emb_dim, "128", 1, 65536, RESULT, "width of the projection in which views are compared"),
    FIELD_BOOL(MocoConfig, use_mlp, "true", RESULT, "project by two linear layers with a ReLU between, not by one"),
    FIELD_END};

const ConfigSection moco_section = {"moco", "sizes of the encoder of MoCo v2 (Stein et al. 2021)", fields,
                                    sizeof(MocoConfig), NULL};

const char moco_prefix[] = "encoder_q.";

Status moco_declare(Resnet *m, Params *p, const MocoConfig *c, Arena *a)
{
    ResnetConfig net = {.width = c->width, .size = c->image_size, .n_out = c->emb_dim, .mlp = c->use_mlp};
    resnet_shape(&net, (ResnetName)c->backbone);
    TRY(params_init(p, resnet_n_params(&net), a));
    return resnet_declare(m, &net, p, moco_prefix, a);
}
