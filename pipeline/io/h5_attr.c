/* h5_attr.c - what hangs on or stands beside plain datasets: attributes, compound tables, virtual datasets. */
#include "h5_impl.h"

#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- attributes: writing ---- */

/* Variable-length UTF-8: the only text that h5py returns as str. */
static hid_t text_type(void)
{
    hid_t t = H5Tcopy(H5T_C_S1);
    H5Tset_size(t, H5T_VARIABLE);
    H5Tset_cset(t, H5T_CSET_UTF8);
    return t;
}

static Status put_attr(H5File *f, const char *object, const char *name, hid_t file_type, hid_t memory_type,
                       const void *value)
{
    hid_t space = H5Screate(H5S_SCALAR), id = -1;
    Status st = OK;
    bool ok = space >= 0 && h5_has(f, object);
    if (ok && H5Aexists_by_name(f->id, object, name, H5P_DEFAULT) > 0)
        ok = H5Adelete_by_name(f->id, object, name, H5P_DEFAULT) >= 0;
    if (ok) id = H5Acreate_by_name(f->id, object, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (id < 0 || H5Awrite(id, memory_type, value) < 0)
        st = FAIL(E_OUTPUT, "%s: attribute '%s' of '%s' cannot be written (HDF5 says: %s)", f->path, name, object,
                  h5_reason());
    if (id >= 0) H5Aclose(id);
    if (space >= 0) H5Sclose(space);
    return H5_AGREE(f, st);
}

Status h5_put_attr_text(H5File *f, const char *object, const char *name, const char *value)
{
    hid_t t = text_type();
    Status st = put_attr(f, object, name, t, t, &value);
    H5Tclose(t);
    return st;
}

Status h5_put_attr_i64(H5File *f, const char *object, const char *name, int64_t value)
{
    return put_attr(f, object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}

Status h5_put_attr_f64(H5File *f, const char *object, const char *name, double value)
{
    return put_attr(f, object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value);
}

/* ---- attributes: reading ---- */

typedef struct {
    hid_t id, type;
    H5Type kind;
    int64_t width, n; /* bytes of an element in the file; elements */
} Attr;

static void attr_close(Attr *a)
{
    if (a->type > 0) H5Tclose(a->type);
    if (a->id > 0) H5Aclose(a->id);
}

/* False when there is none, or none of numbers or text, or one that claims more than its file holds. */
static bool attr_open(Attr *a, H5File *f, const char *object, const char *name)
{
    *a = (Attr){0};
    if (!h5_has(f, object) || H5Aexists_by_name(f->id, object, name, H5P_DEFAULT) <= 0) return false;
    a->id = H5Aopen_by_name(f->id, object, name, H5P_DEFAULT, H5P_DEFAULT);
    if (a->id < 0) return false;
    a->type = H5Aget_type(a->id);
    hid_t space = H5Aget_space(a->id);
    a->n = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
    if (space >= 0) H5Sclose(space);
    hsize_t file_bytes = 0;
    bool good = a->type >= 0 && a->n > 0 && h5_type_of(&a->kind, &a->width, a->type) &&
                H5Fget_filesize(f->id, &file_bytes) >= 0 && (hsize_t)a->n <= file_bytes &&
                (hsize_t)a->n * H5Tget_size(a->type) <= file_bytes;
    if (!good) attr_close(a);
    return good;
}

static bool fixed_text(char **out, const Attr *a, Arena *arena)
{
    if (arena_new(out, arena, a->width + 1) != OK || H5Aread(a->id, a->type, *out) < 0) return false;
    if (H5Tget_strpad(a->type) == H5T_STR_SPACEPAD)
        for (int64_t i = a->width - 1; i >= 0 && ((*out)[i] == ' ' || (*out)[i] == '\0'); i--) (*out)[i] = '\0';
    return true;
}

static bool variable_text(char **out, const Attr *a, Arena *arena)
{
    char *text = NULL;
    if (H5Aread(a->id, a->type, &text) < 0) return false;
    bool ok = arena_text(out, arena, text ? text : "") == OK;
    H5free_memory(text);
    return ok;
}

bool h5_get_attr_text(char **out, H5File *f, const char *object, const char *name, Arena *arena)
{
    Attr a;
    if (!attr_open(&a, f, object, name)) return false;
    char *text = NULL;
    bool ok = a.kind == H5_TEXT && a.n == 1 &&
              (a.width == 0 ? variable_text(&text, &a, arena) : fixed_text(&text, &a, arena));
    attr_close(&a);
    if (ok) *out = text;
    return ok;
}

bool h5_get_attr_f64(double *out, H5File *f, const char *object, const char *name)
{
    Attr a;
    if (!attr_open(&a, f, object, name)) return false;
    double value = 0;
    bool ok = a.kind != H5_TEXT && a.n == 1 && H5Aread(a.id, H5T_NATIVE_DOUBLE, &value) >= 0;
    attr_close(&a);
    if (ok) *out = value;
    return ok;
}

bool h5_get_attr_i64(int64_t *out, H5File *f, const char *object, const char *name)
{
    Attr a;
    if (!attr_open(&a, f, object, name)) return false;
    bool ok = a.kind != H5_TEXT && a.n == 1;
    int64_t value = 0;
    if (ok && (a.kind == H5_F32 || a.kind == H5_F64)) { /* 3.0 is a whole number, 3.5 is of another kind */
        double real = 0;
        ok = H5Aread(a.id, H5T_NATIVE_DOUBLE, &real) >= 0 && fabs(real) < 0x1p53 && floor(real) == real;
        if (ok) value = (int64_t)real;
    } else if (ok) {
        ok = H5Aread(a.id, H5T_NATIVE_INT64, &value) >= 0;
    }
    attr_close(&a);
    if (ok) *out = value;
    return ok;
}

Status h5_list_attrs(char ***names, int64_t *n, H5File *f, const char *object, Arena *arena)
{
    char name[H5_PATH];
    *names = NULL;
    *n = 0;
    for (int turn = 0; turn < 2; turn++) { /* counted, then copied */
        hsize_t i = 0;
        while (H5Aget_name_by_idx(f->id, object, H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT) >= 0) {
            if (turn > 0) TRY(arena_text(&(*names)[i], arena, name));
            i++;
        }
        if (turn == 0) TRY(arena_new(names, arena, (int64_t)i));
        *n = (int64_t)i;
    }
    return OK;
}

bool h5_get_attr_f64s(double **out, int64_t *n, H5File *f, const char *object, const char *name, Arena *arena)
{
    Attr a;
    if (!attr_open(&a, f, object, name)) return false;
    double *values = NULL;
    bool ok =
        a.kind != H5_TEXT && arena_new(&values, arena, a.n) == OK && H5Aread(a.id, H5T_NATIVE_DOUBLE, values) >= 0;
    attr_close(&a);
    if (!ok) return false;
    *out = values;
    *n = a.n;
    return true;
}

/* ---- compound datasets ---- */

/* The type of a member in the file, or -1; `element` is that of its elements (itself, or of the array that it is). */
static hid_t member_type(hid_t *element, const H5Dataset *d, const char *member)
{
    *element = -1;
    if (H5Tget_class(d->type) != H5T_COMPOUND) return -1;
    int i = H5Tget_member_index(d->type, member);
    if (i < 0) return -1;
    hid_t t = H5Tget_member_type(d->type, (unsigned)i);
    if (t >= 0) *element = H5Tget_class(t) == H5T_ARRAY ? H5Tget_super(t) : H5Tcopy(t);
    return t;
}

bool h5_has_member(H5File *f, const char *dataset, const char *member)
{
    H5Dataset d;
    if (h5_dataset_open(&d, f, dataset) != OK) {
        fail_clear();
        return false;
    }
    hid_t element = -1, t = member_type(&element, &d, member);
    if (element >= 0) H5Tclose(element);
    if (t >= 0) H5Tclose(t);
    h5_dataset_close(&d);
    return t >= 0;
}

/* What h5_member_shape and h5_read_member need of a member, checked. */
typedef struct {
    H5Dataset d;
    hid_t type, element;
    hsize_t dims[H5_DIMS];
    int n_dims;
} Member;

static void member_close(Member *m)
{
    if (m->element > 0) H5Tclose(m->element);
    if (m->type > 0) H5Tclose(m->type);
    h5_dataset_close(&m->d);
}

static Status member_open(Member *m, H5File *f, const char *dataset, const char *member)
{
    *m = (Member){0};
    TRY(h5_dataset_open(&m->d, f, dataset));
    if (m->d.n_dims != 1 || H5Tget_class(m->d.type) != H5T_COMPOUND)
        return FAIL(E_INPUT, "%s: dataset '%s' is not a table of columns; is it the right file?", f->path, dataset);
    m->type = member_type(&m->element, &m->d, member);
    if (m->type < 0)
        return FAIL(E_INPUT, "%s: table '%s' has no column '%s'; is it the right file?", f->path, dataset, member);
    if (H5Tget_class(m->type) == H5T_ARRAY) {
        m->n_dims = H5Tget_array_ndims(m->type);
        if (m->n_dims < 0 || m->n_dims >= H5_DIMS)
            return FAIL(E_INPUT, "%s: column '%s' of '%s' has %d axes, at most %d expected", f->path, member, dataset,
                        m->n_dims, H5_DIMS - 1);
        H5Tget_array_dims2(m->type, m->dims);
    }
    H5Type kind = H5_I8;
    int64_t width = 0;
    if (!h5_type_of(&kind, &width, m->element) || width == 0)
        return FAIL(E_INPUT,
                    "%s: column '%s' of '%s' is neither numbers nor text of fixed length; this program cannot use it",
                    f->path, member, dataset);
    return OK;
}

Status h5_member_shape(H5Shape *out, H5File *f, const char *dataset, const char *member)
{
    memset(out, 0, sizeof *out);
    Member m;
    Status st = member_open(&m, f, dataset, member);
    if (st == OK) st = h5_check_storage(&m.d, f, dataset);
    if (st == OK) {
        h5_type_of(&out->type, &out->width, m.element);
        out->n_dims = 1 + m.n_dims;
        out->dims[0] = m.d.rows;
        for (int i = 0; i < m.n_dims; i++) out->dims[1 + i] = (int64_t)m.dims[i];
    }
    member_close(&m);
    return st;
}

/* A row in memory that holds this member only: HDF5 matches members by name. */
static hid_t member_memory(size_t *bytes, const char *member, hid_t element, const hsize_t *dims, int n_dims)
{
    hid_t column = n_dims > 0 ? H5Tarray_create2(element, (unsigned)n_dims, dims) : H5Tcopy(element);
    if (column < 0) return -1;
    *bytes = H5Tget_size(column);
    hid_t row = H5Tcreate(H5T_COMPOUND, *bytes);
    if (row >= 0) H5Tinsert(row, member, 0, column);
    H5Tclose(column);
    return row;
}

Status h5_read_member(void *out, H5File *f, const char *dataset, const char *member, H5Type type, int64_t width,
                      int64_t first, int64_t n)
{
    Status st = OK;
    Member m;
    hid_t element = -1, row = -1;
    size_t bytes = 0;
    char what[H5_PATH];
    snprintf(what, sizeof what, "column '%s' of '%s'", member, dataset);
    TRY_DONE(member_open(&m, f, dataset, member));
    TRY_DONE(h5_check_type(m.element, type, f->path, what));
    element = h5_memory_type(type, width);
    if (type == H5_TEXT) H5Tset_cset(element, H5Tget_cset(m.element));
    row = member_memory(&bytes, member, element, m.dims, m.n_dims);
    if (row < 0)
        st = FAIL(E_INPUT, "%s: %s has no usable shape (HDF5 says: %s)", f->path, what, h5_reason());
    else
        st = h5_move_rows(f, &m.d, dataset, row, bytes, out, NULL, first, n);
done:
    if (row >= 0) H5Tclose(row);
    if (element >= 0) H5Tclose(element);
    member_close(&m);
    return st;
}

/* Shape of one row of a member: how many dimensions. */
static int member_dims(hsize_t dims[2], const H5Member *m)
{
    bool matrix = m->type != H5_TEXT && m->width > 0;
    dims[0] = (hsize_t)(matrix ? m->n / m->width : m->n);
    dims[1] = (hsize_t)m->width;
    return matrix ? 2 : m->n == 1 ? 0 : 1;
}

static hid_t member_file_type(const H5Member *m)
{
    hid_t element = h5_file_type(m->type, m->width);
    hsize_t dims[2];
    int n_dims = member_dims(dims, m);
    hid_t t = n_dims == 0 ? H5Tcopy(element) : H5Tarray_create2(element, (unsigned)n_dims, dims);
    H5Tclose(element);
    return t;
}

static Status make_compound(H5File *f, const char *dataset, const H5Member *members, int n_members, int64_t rows)
{
    size_t bytes = 0, at = 0;
    for (int i = 0; i < n_members; i++) bytes += h5_bytes(members[i].type, members[i].width) * (size_t)members[i].n;
    hid_t table = H5Tcreate(H5T_COMPOUND, bytes);
    for (int i = 0; i < n_members; i++) {
        hid_t t = member_file_type(&members[i]);
        H5Tinsert(table, members[i].name, at, t);
        at += H5Tget_size(t);
        H5Tclose(t);
    }
    Status st = h5_make_dataset(f, dataset, table, &rows, 1, 0);
    H5Tclose(table);
    return H5_AGREE(f, st);
}

static Status write_member(H5File *f, const char *dataset, const H5Member *m, int64_t first, int64_t rows)
{
    H5Dataset d;
    TRY(h5_dataset_open(&d, f, dataset));
    hid_t element = h5_memory_type(m->type, m->width);
    hsize_t dims[2];
    int n_dims = member_dims(dims, m);
    size_t bytes = 0;
    hid_t row = member_memory(&bytes, m->name, element, dims, n_dims);
    Status st = h5_move_rows(f, &d, dataset, row, bytes, NULL, m->data, first, rows);
    if (row >= 0) H5Tclose(row);
    H5Tclose(element);
    h5_dataset_close(&d);
    return st;
}

Status h5_new_compound(H5File *f, const char *dataset, const H5Member *members, int n_members, int64_t rows)
{
    MUST(n_members > 0);
    return make_compound(f, dataset, members, n_members, rows);
}

Status h5_put_members(H5File *f, const char *dataset, const H5Member *members, int n_members, int64_t first,
                      int64_t rows)
{
    Status st = OK;
    if (!f->par || f->par->rank == 0)
        for (int i = 0; i < n_members && st == OK; i++) st = write_member(f, dataset, &members[i], first, rows);
    return H5_AGREE(f, st);
}

Status h5_put_compound(H5File *f, const char *dataset, const H5Member *members, int n_members, int64_t rows)
{
    TRY(h5_new_compound(f, dataset, members, n_members, rows));
    return h5_put_members(f, dataset, members, n_members, 0, rows);
}

/* ---- virtual datasets ---- */

/* What rows without a source read as: NaN for floats, `fill` for integers, empty text. */
static bool set_fill(hid_t creation, H5Type type, int64_t fill)
{
    double nan = (double)NAN;
    if (type == H5_F32 || type == H5_F64) return H5Pset_fill_value(creation, H5T_NATIVE_DOUBLE, &nan) >= 0;
    return type == H5_TEXT || H5Pset_fill_value(creation, H5T_NATIVE_INT64, &fill) >= 0;
}

static Status add_source(hid_t creation, hid_t space, H5File *f, const char *dataset, const int64_t *dims, int n_dims,
                         const char *source_file, int64_t first, int64_t rows)
{
    hsize_t start[H5_DIMS] = {(hsize_t)first}, count[H5_DIMS] = {(hsize_t)rows};
    for (int i = 1; i < n_dims; i++) count[i] = (hsize_t)dims[i];
    hid_t source = H5Screate_simple(n_dims, count, NULL);
    bool ok = source >= 0 && H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
              H5Pset_virtual(creation, space, source_file, dataset, source) >= 0;
    Status st = OK;
    if (!ok)
        st = FAIL(E_OUTPUT, "%s: dataset '%s' cannot include %s (HDF5 says: %s)", f->path, dataset, source_file,
                  h5_reason());
    if (source >= 0) H5Sclose(source);
    return st;
}

static Status make_virtual(H5File *f, const char *dataset, H5Type type, int64_t width, const int64_t *dims, int n_dims,
                           const char *const *source_files, const int64_t *first, const int64_t *rows, int n_sources,
                           int64_t fill)
{
    Status st = OK;
    hsize_t sizes[H5_DIMS] = {0};
    for (int i = 0; i < n_dims; i++) sizes[i] = (hsize_t)dims[i];
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(n_dims, sizes, NULL);
    hid_t t = h5_file_type(type, width);
    if (creation < 0 || space < 0 || !set_fill(creation, type, fill))
        TRY_DONE(FAIL(E_OUTPUT, "%s: dataset '%s' cannot be made (HDF5 says: %s)", f->path, dataset, h5_reason()));
    for (int i = 0; i < n_sources; i++) {
        MUST(first[i] >= 0 && rows[i] >= 0 && first[i] + rows[i] <= dims[0]);
        if (rows[i] > 0)
            TRY_DONE(add_source(creation, space, f, dataset, dims, n_dims, source_files[i], first[i], rows[i]));
    }
    TRY_DONE(h5_make_dataset(f, dataset, t, dims, n_dims, creation));
done:
    H5Tclose(t);
    if (space >= 0) H5Sclose(space);
    if (creation >= 0) H5Pclose(creation);
    return st;
}

Status h5_new_virtual(H5File *f, const char *dataset, H5Type type, int64_t width, const int64_t *dims, int n_dims,
                      const char *const *source_files, const int64_t *first, const int64_t *rows, int n_sources,
                      int64_t fill)
{
    MUST(n_dims >= 1 && n_dims <= H5_DIMS);
    Status st = make_virtual(f, dataset, type, width, dims, n_dims, source_files, first, rows, n_sources, fill);
    return H5_AGREE(f, st);
}
