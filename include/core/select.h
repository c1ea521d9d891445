/* select.h - one value of an order, without sorting all. Local, serial. */
#ifndef CORE_SELECT_H
#define CORE_SELECT_H

#include <stdint.h>

/* The k-th smallest of n values (0-based), none of them NaN, which are used up. */
double select_kth(double *x, int64_t n, int64_t k);

/* The middle value of the `among` smallest of n, the mean of the two middle ones where `among` is even; 0 for none. Values are not
   NaN, and are used up. Who has values that do not count makes them infinite. */
double select_median(double *x, int64_t n, int64_t among);

#endif
