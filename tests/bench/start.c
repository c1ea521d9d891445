/* start.c - bench_start PATH: a checkpoint of ours of the published sizes, with deterministic weights, for start.py. */
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "model/encoders.h"
#include "model/specformer.h"
#include "model/vit.h"
#include "train/checkpoint.h"

int main(int argc, char **argv)
{
    static VitConfig vit = {144, 12, 1024, 24, 16, 4};
    static SpecformerConfig specformer = {768, 6, 6, 800, 20, 10};
    const ModelConfig config = {1024, 4, {image_encoders[0], &vit}, {spectrum_encoders[0], &specformer}};
    const Envelope envelope = {.kind = "checkpoint", .version = CHECKPOINT_VERSION, .config = ""};
    Arena a = {0};
    Model *model = NULL;
    if (argc != 2) {
        fprintf(stderr, "bench_start PATH\n");
        return 2;
    }
    log_init(0, 1);
    Status st = arena_init(&a, "bench", 0);
    if (st == OK) st = model_build(&model, &config, &a);
    if (st == OK) params_deterministic(model_params(model), 777);
    if (st == OK) st = checkpoint_save(argv[1], model_params(model), &envelope);
    if (st != OK) fail_print(stderr, 1);
    arena_free(&a);
    return st;
}
