/* votes.h - volunteers' votes on morphology as Galaxy Zoo DECaLS publishes them (gz_decals_volunteers_5.csv; formats.md B12):
   a CSV table with columns ra, dec, QUESTION_total-votes and QUESTION_ANSWER_debiased. Columns are found by their exact names;
   the released code takes those that contain the question's name. */
#ifndef DATA_VOTES_H
#define DATA_VOTES_H

#include "core/arena.h"

enum { N_VOTE_QUESTIONS = 10, MOST_ANSWERS = 6 };

typedef struct {
    const char *name;                     /* "smooth-or-featured" */
    const char *answer[MOST_ANSWERS + 1]; /* in the order of the table's columns, ended by NULL */
    int n_answers;
} VoteQuestion;
extern const VoteQuestion vote_questions[N_VOTE_QUESTIONS];

typedef struct {
    int64_t order;                               /* place among the rows that were kept: the order of the file */
    float total[N_VOTE_QUESTIONS];               /* votes on each question */
    float share[N_VOTE_QUESTIONS][MOST_ANSWERS]; /* debiased, NaN = none */
} VoteRow;

typedef struct {
    int64_t rows, few, kept; /* of the table; with fewer votes on the first question than asked for; the others */
    int64_t bad_position;
} VoteCounts;

/* Local. The nearest kept row within `arcsec` of each of n positions (deg; NaN = none): match[i] is its index in `out`, or -1. Only
   rows that match something are in memory. E_INPUT names file, line and column. */
Status votes_match(VoteRow **out, int64_t *match, VoteCounts *counts, const char *path, const double *ra,
                   const double *dec, int64_t n, double arcsec, double min_votes, Arena *a);

#endif
