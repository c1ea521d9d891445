/* small_training.h - folders and envelope of trainings that tests run. */
#ifndef TESTS_SMALL_TRAINING_H
#define TESTS_SMALL_TRAINING_H

#include <stdio.h>

#include "io/artefact.h"
#include "test_main.h"

/* Collective over `par`. Four at a time. */
static const char *folder_of(const char *name, const Par *par)
{
    static char path[4][512];
    static int turn;
    char *out = path[turn++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", test_folder(), name);
    CHECK_OK(artefact_make_folder(par, out));
    return out;
}

static Envelope training_envelope(const char *made_by)
{
    Envelope e = {.kind = "training",
                  .version = 1,
                  .made_by = made_by,
                  .config = "",
                  .specprod = "",
                  .image_release = "",
                  .provider = ""};
    snprintf(e.fingerprint.text, sizeof e.fingerprint.text, "%032d", 7);
    return e;
}

#endif
