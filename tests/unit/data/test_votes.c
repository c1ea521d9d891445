/* The table of votes: columns by name, the nearest row, poles and RA 0; what is wrong is told by file and line. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/votes.h"
#include "test_main.h"

static char table[1024];

/* A table of n rows: ra, dec and votes on the first question; the share of the first answer is the row's number. A column that nobody
   asks for comes first. */
static void put_table(const double (*row)[3], int n, const char *tail)
{
    snprintf(table, sizeof table, "%s/votes.csv", test_folder());
    FILE *f = fopen(table, "w");
    CU_ASSERT_FATAL(f != NULL);
    fputs("iauname,ra,dec", f);
    for (int q = 0; q < N_VOTE_QUESTIONS; q++) {
        fprintf(f, ",%s_total-votes", vote_questions[q].name);
        for (int k = 0; k < vote_questions[q].n_answers; k++)
            fprintf(f, ",%s_%s_debiased", vote_questions[q].name, vote_questions[q].answer[k]);
    }
    fputc('\n', f);
    for (int i = 0; i < n; i++) {
        fprintf(f, "\"J%d\",%.10f,%.10f", i, row[i][0], row[i][1]);
        for (int q = 0; q < N_VOTE_QUESTIONS; q++) {
            fprintf(f, ",%g", q == 0 ? row[i][2] : 5);
            for (int k = 0; k < vote_questions[q].n_answers; k++)
                if (q == 0 && k == 0)
                    fprintf(f, ",%d", i);
                else
                    fputs(k == 1 ? "," : ",0.25", f); /* empty = none */
        }
        fputs("\r\n", f);
    }
    fputs(tail, f);
    fclose(f);
}

static void the_nearest_row_counts(void)
{
    static const double rows[][3] = {{150, 2, 40},      {150.0001, 2, 40}, {150, 2.001, 2},
                                     {359.99995, 0, 9}, {10, 89.9999, 9},  {20, -30, 9}};
    /* beside row 0; between 0 and 1, nearer to 1; the one with few votes; across RA 0; at the pole, far off in RA; nothing */
    const double ra[] = {150.00002, 150.00007, 150, 0.00002, 190, 20, NAN, 150},
                 dec[] = {2, 2, 2.001, 0, 89.99998, -30.01, 2, 2};
    static const int64_t want[] = {0, 1, -1, 3, 4, -1, -1, 0};
    int64_t match[8];
    VoteRow *row;
    VoteCounts c;
    put_table(rows, 6, "");
    if (!CHECK_OK(votes_match(&row, match, &c, table, ra, dec, 8, 0.5, 3, &test_arena))) return;
    CU_ASSERT(c.rows == 6 && c.few == 1 && c.kept == 5 && c.bad_position == 0);
    for (int i = 0; i < 8; i++) {
        CU_ASSERT_EQUAL(match[i] < 0, want[i] < 0);
        if (match[i] < 0 || want[i] < 0) continue;
        CU_ASSERT_EQUAL((int64_t)row[match[i]].share[0][0], want[i]);
        CU_ASSERT_EQUAL(row[match[i]].order, want[i] > 2 ? want[i] - 1 : want[i]);
        CU_ASSERT(isnan(row[match[i]].share[1][1]) && row[match[i]].share[1][0] == 0.25f &&
                  row[match[i]].total[1] == 5);
    }
}

static void refused(const char *what)
{
    int64_t match;
    VoteRow *row;
    VoteCounts c;
    const double at = 1;
    const Status st = votes_match(&row, &match, &c, table, &at, &at, 1, 0.5, 3, &test_arena);
    CU_ASSERT(st == E_INPUT && strstr(fail_record()->text, what) != NULL);
    fail_clear();
}

static void what_is_wrong_is_told_by_line(void)
{
    static const double rows[][3] = {{150, 2, 40}};
    put_table(rows, 1, "J2,1,2\n");
    refused("votes.csv:3: 3 fields");
    put_table(rows, 1, "J2,here,2,40\n");
    refused("votes.csv:3: 'here' in column 'ra'");
    FILE *f = fopen(table, "w");
    fputs("ra,dec,smooth-or-featured_total-votes\n", f);
    fclose(f);
    refused("no column 'smooth-or-featured_smooth_debiased'");
    f = fopen(table, "w");
    fclose(f);
    refused("is empty");
    remove(table);
    refused("cannot open");
}

TEST_MAIN("votes", {"the nearest row counts", the_nearest_row_counts},
          {"what is wrong is told by line", what_is_wrong_is_told_by_line})
