/* explorer.h - the interactive search: a page and a JSON API over one run's catalogue and embeddings, read only.

   GET /                                  the page (and /explorer.js, /explorer.css)
   GET /api/run                           {"rows", "directions": [...], "labels": [{"name", "unit", "meaning"}, ...]}
   GET /api/sample?page=0&n=24            {"objects": [object, ...]}: rows in an order that TARGETIDs shuffle
   GET /api/object?targetid=ID | row=R    {"objects": [object, ...]}: every row of the target
   GET /api/similar?row=R&direction=D&k=8 {"query": object, "direction", "matches": [{"score", "separation", ...object}, ...]}
   GET /api/spectrum?row=R                {"start", "step", "flux": [...], "lines": [{"name", "at"}, ...]} of means of 5 pixels, null where there is none
   GET /image/R.png                       the cutout in colour, 152 x 152

   object: {"row", "targetid" (text: it does not fit a number of JavaScript), "survey", "program", "ra", "dec", "z", "r", "spectype",
   "image", "spectrum" (has an embedding), "labels": {name: value}, "predicted": {name: {"image", "spectrum"}}}. Unknown is null. Errors:
   {"error": text} with 400 or 404. Local. */
#ifndef TABLES_EXPLORER_H
#define TABLES_EXPLORER_H

#include "data/images.h"
#include "data/spectra.h"
#include "data/survey.h"
#include "embed/embeddings.h"
#include "probe/predictions.h"
#include "tables/http.h"

typedef struct {
    int64_t port, connections, timeout_seconds, neighbours;
    double keep_gb;
} ServeConfig;
extern const ConfigSection serve_section; /* "serve" */

typedef struct {
    const ServeConfig *config;
    const ReleaseConfig *release;
    const SpectraConfig *spectra;
    const ImagesConfig *images;
    Catalog *catalog;
    Embeddings *embeddings;
    Predictions *predictions; /* NULL = none */
    Arena *arena;             /* of answers: empty between them */
    /* made by explorer_open */
    int64_t n, *targetid, *turn; /* (n); rows in the order of /api/sample */
    double *norm[N_MODALITIES];  /* (n) 0 = no embedding; NULL = the file has none of the kind */
    float *x[N_MODALITIES];      /* (n, dim); NULL = is read again for each question */
    ImageSource *source;
} Explorer;

/* Reads what is kept, into `keep`. E_INPUT when the files do not belong together. */
Status explorer_open(Explorer *x, Arena *keep);
void explorer_close(Explorer *x);

/* An HttpHandler; context = Explorer. */
Status explorer_answer(HttpAnswer *out, const HttpRequest *r, const char *path, void *context);

/* Files of the page, in the program. */
extern const char explorer_html[], explorer_html_end[], explorer_js[], explorer_js_end[], explorer_css[],
    explorer_css_end[];

#endif
