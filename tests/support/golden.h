/* golden.h - reading the golden files in tests: sizes and hyper-parameters come from the file, never from the test.

       H5File g;
       if (!golden_open(&g, "specformer_tiny.h5")) return;          (absent: the test is skipped)
       int64_t heads = golden_int(&g, "num_heads");
       double *want = golden_want(&g, "outputs/embedding", n);      (n = size of the result)
       ...
       h5_close(&g);

   What a present file lacks fails the test there and then. Arrays live in test_arena. All inline: programs that do not link io include nothing of it. */
#ifndef GOLDEN_H
#define GOLDEN_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "io/h5.h"
#include "test_main.h"

/* False = skipped: the file is not here. */
static inline bool golden_open(H5File *f, const char *name)
{
    memset(f, 0, sizeof *f);
    const char *path = test_golden(name);
    if (!test_needs_file(path)) return false;
    if (CHECK_OK(h5_open(f, path, NULL))) return true;
    CU_FAIL_FATAL("a golden file that cannot be opened");
    return false;
}

/* "params/block.%d.weight" and the like: a name in one of four rotating buffers. */
static inline const char *golden_name(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline const char *golden_name(const char *format, ...)
{
    static char text[4][256];
    static int next;
    char *out = text[next++ & 3];
    va_list args;
    va_start(args, format);
    vsnprintf(out, sizeof text[0], format, args);
    va_end(args);
    return out;
}

/* Elements of a shape. */
static inline int64_t golden_items(const H5Shape *s)
{
    int64_t n = 1;
    for (int i = 0; i < s->n_dims; i++) n *= s->dims[i];
    return n;
}

static inline void *golden_get(H5Shape *shape, H5File *f, const char *dataset, H5Type type)
{
    void *out = NULL;
    H5Shape own;
    if (!CHECK_OK(h5_get(&out, shape ? shape : &own, f, dataset, type, &test_arena)))
        CU_FAIL_FATAL("a dataset of a golden file that cannot be read");
    return out;
}

/* A whole dataset, converted; `shape` may be NULL. */
static inline double *golden_f64(H5Shape *shape, H5File *f, const char *dataset)
{
    return golden_get(shape, f, dataset, H5_F64);
}
static inline float *golden_f32(H5Shape *shape, H5File *f, const char *dataset)
{
    return golden_get(shape, f, dataset, H5_F32);
}
static inline int64_t *golden_i64(H5Shape *shape, H5File *f, const char *dataset)
{
    return golden_get(shape, f, dataset, H5_I64);
}
static inline uint8_t *golden_u8(H5Shape *shape, H5File *f, const char *dataset)
{
    return golden_get(shape, f, dataset, H5_U8);
}

/* What `n` results are compared with: a dataset of another size fails the test. */
static inline double *golden_want(H5File *f, const char *dataset, int64_t n)
{
    H5Shape s;
    double *v = golden_f64(&s, f, dataset);
    if (golden_items(&s) != n) {
        printf("%s: '%s' has %lld elements, not %lld\n", f->path, dataset, (long long)golden_items(&s), (long long)n);
        CU_FAIL_FATAL("a golden dataset of another size than the result");
    }
    return v;
}

/* In the precision that nn and model are built with: assign to a `real *`. */
static inline void *golden_reals(H5Shape *shape, H5File *f, const char *dataset)
{
#ifdef REAL_DOUBLE
    return golden_f64(shape, f, dataset);
#else
    return golden_f32(shape, f, dataset);
#endif
}

/* A number of a dataset of one element, such as a loss. */
static inline double golden_scalar(H5File *f, const char *dataset) { return golden_want(f, dataset, 1)[0]; }

/* Attributes of any object ("/" = the file's own). */
static inline int64_t golden_int_of(H5File *f, const char *object, const char *name)
{
    int64_t v = 0;
    if (!h5_get_attr_i64(&v, f, object, name)) {
        printf("%s: '%s' has no whole number '%s'\n", f->path, object, name);
        CU_FAIL_FATAL("an attribute that a golden file lacks");
    }
    return v;
}

static inline double golden_number_of(H5File *f, const char *object, const char *name)
{
    double v = 0;
    if (!h5_get_attr_f64(&v, f, object, name)) {
        printf("%s: '%s' has no number '%s'\n", f->path, object, name);
        CU_FAIL_FATAL("an attribute that a golden file lacks");
    }
    return v;
}

static inline int64_t golden_int(H5File *f, const char *name) { return golden_int_of(f, "/", name); }
static inline double golden_number(H5File *f, const char *name) { return golden_number_of(f, "/", name); }

#endif
