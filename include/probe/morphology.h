/* morphology.h - what volunteers would say of a galaxy, from its embedding: one multinomial model for each question of
   Galaxy Zoo DECaLS (spec.md 6.6), trained on shares of votes.

   Mode "sane": features standardised, the catalogue's splits, cross-entropy of the softmax, the epoch that is best on held-out
   train rows. Mode "released", as the published code does it: raw features, the first 80 % of the votes table train and the rest
   test, rows drawn with replacement by their largest share, softmax twice in the loss, the last epoch. */
#ifndef PROBE_MORPHOLOGY_H
#define PROBE_MORPHOLOGY_H

#include "data/votes.h"
#include "probe/fit.h"

typedef struct {
    int64_t n;
    double accuracy, f1; /* accuracy: the same answers have the most votes; f1: of the classes, weighted by support */
    double nll;          /* mean cross-entropy of the shares */
} MorphologyScores;

typedef struct MorphologyFit {
    int input, question;
    const char *probe; /* "logistic", "mlp" */
    int64_t n_weights;
    double *weight; /* NULL = not fitted */
    MorphologyScores score[N_SPLITS];
} MorphologyFit;

/* Votes matched to this rank's rows. */
typedef struct {
    const VoteRow *row;
    const int64_t *match; /* (rows->n) index in row, -1 = none */
    VoteCounts counts;
} MorphologyVotes;

/* Collective. Reads the table and matches it to the positions of the catalogue; says how many rows did. */
Status morphology_votes(MorphologyVotes *out, const MorphologyConfig *c, const ProbeRows *rows, Catalog *catalog,
                        const Par *par, Arena *a);

/* Collective. All questions and probes of the configuration from one input: appends to fit (*n), scores them and puts what they
   say of every row into predictions.h5: ENCODER_MODALITY/morph_PROBE/QUESTION/value (N, answers). */
Status morphology_fit(MorphologyFit *fit, int *n, const MorphologyVotes *votes, int input, const ProbeTask *t,
                      Predictions *out, Arena *a);

/* Local. Names of the probes; how many fits an input can have. */
extern const char *const morphology_probes[];
enum { MORPHOLOGY_FITS = 2 * N_VOTE_QUESTIONS };

/* ---- metrics of n rows: shares (n, classes), said and true; serial ---- */
typedef struct {
    int64_t n, right;
    int64_t hit[MOST_ANSWERS], said[MOST_ANSWERS], there[MOST_ANSWERS]; /* both; predicted; true (the support) */
} MorphologyCounts;
void morphology_count(MorphologyCounts *c, const double *said, const double *truth, int classes); /* one row */
double morphology_accuracy(const MorphologyCounts *c);
double morphology_f1(const MorphologyCounts *c, int classes);

#endif
