/* lines.c - the table. */
#include "tables/lines.h"

const LineRow line_table[N_LINES] = {{"[OII]", 3728.5},     {"K", 3934.8},    {"H", 3969.6},
                                     {"H\316\264", 4102.9}, {"G", 4305.6},    {"H\316\262", 4862.7},
                                     {"[OIII]", 5008.2},    {"Mg", 5176.6},   {"Na", 5895.6},
                                     {"H\316\261", 6564.6}, {"[SII]", 6725.5}};
