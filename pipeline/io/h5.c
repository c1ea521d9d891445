/* h5.c - HDF5 datasets and their rows: finding, looking, moving, making. Types, sizes and ranges are checked before HDF5 sees them, so that a
   message can name the file, the dataset and what to do. */
#include "h5_impl.h"

#include <hdf5.h>
#include <stdio.h>
#include <string.h>

enum { DEFLATE_RATIO = 1100 };                       /* deflate cannot do better than 1032 : 1 */
static const int64_t PIECE_BYTES = (int64_t)1 << 30; /* of one transfer: MPI counts are ints */
static const int64_t CHUNK_BYTES = (int64_t)1 << 30; /* that HDF5 may hold at once to read one row */

/* ---- finding things ---- */

bool h5_has(H5File *f, const char *object)
{
    char part[H5_PATH];
    if (f->id <= 0 || snprintf(part, sizeof part, "%s", object) >= (int)sizeof part) return false;
    for (char *slash = part; *slash; slash++) { /* H5Lexists wants every step of the way to exist */
        if (*slash != '/' || slash == part) continue;
        *slash = '\0';
        if (H5Lexists(f->id, part, H5P_DEFAULT) <= 0) return false;
        *slash = '/';
    }
    if (strcmp(part, "/") == 0 || part[0] == '\0') return true;
    return H5Lexists(f->id, part, H5P_DEFAULT) > 0 && H5Oexists_by_name(f->id, part, H5P_DEFAULT) > 0;
}

Status h5_list(char ***names, int64_t *n, H5File *f, const char *group, Arena *a)
{
    *names = NULL;
    *n = 0;
    H5G_info_t info;
    if (!h5_has(f, group) || H5Gget_info_by_name(f->id, group, &info, H5P_DEFAULT) < 0)
        return FAIL(E_INPUT, "%s: there is no group '%s' in it; is it the right file?", f->path, group);
    TRY(arena_new(names, a, (int64_t)info.nlinks));
    for (hsize_t i = 0; i < info.nlinks; i++) {
        ssize_t length = H5Lget_name_by_idx(f->id, group, H5_INDEX_NAME, H5_ITER_INC, i, NULL, 0, H5P_DEFAULT);
        if (length < 0) return FAIL(E_INPUT, "%s: group '%s' is damaged (HDF5 says: %s)", f->path, group, h5_reason());
        TRY(arena_new(&(*names)[i], a, (int64_t)length + 1));
        H5Lget_name_by_idx(f->id, group, H5_INDEX_NAME, H5_ITER_INC, i, (*names)[i], (size_t)length + 1, H5P_DEFAULT);
    }
    *n = (int64_t)info.nlinks;
    return OK;
}

bool h5_is_group(H5File *f, const char *object)
{
    if (!h5_has(f, object)) return false;
    hid_t id = H5Oopen(f->id, object, H5P_DEFAULT);
    bool group = id >= 0 && H5Iget_type(id) == H5I_GROUP;
    if (id >= 0) H5Oclose(id);
    return group;
}

/* ---- open datasets ---- */

void h5_dataset_close(H5Dataset *d)
{
    if (d->type > 0) H5Tclose(d->type);
    if (d->space > 0) H5Sclose(d->space);
    if (d->id > 0) H5Dclose(d->id);
    memset(d, 0, sizeof *d);
}

static Status read_dims(H5Dataset *d, H5File *f, const char *dataset)
{
    int n = H5Sget_simple_extent_ndims(d->space);
    H5S_class_t class = H5Sget_simple_extent_type(d->space);
    if (n < 0 || class == H5S_NULL || class == H5S_NO_CLASS)
        return FAIL(E_INPUT, "%s: dataset '%s' has no shape; is it the right file?", f->path, dataset);
    if (n > H5_DIMS)
        return FAIL(E_INPUT, "%s: dataset '%s' has %d axes, at most %d expected; is it the right file?", f->path,
                    dataset, n, H5_DIMS);
    hsize_t dims[H5_DIMS] = {0};
    H5Sget_simple_extent_dims(d->space, dims, NULL);
    d->n_dims = n;
    d->rows = n > 0 ? (int64_t)dims[0] : 1;
    d->row_items = 1;
    for (int i = 0; i < n; i++) {
        d->dims[i] = (int64_t)dims[i];
        if (i > 0 && __builtin_mul_overflow(d->row_items, d->dims[i], &d->row_items)) d->row_items = -1;
    }
    if (d->rows < 0 || d->row_items < 0)
        return FAIL(E_INPUT, "%s: dataset '%s' claims an impossible size; the file is damaged", f->path, dataset);
    return OK;
}

Status h5_dataset_open(H5Dataset *d, H5File *f, const char *dataset)
{
    memset(d, 0, sizeof *d);
    if (f->id <= 0) return FAIL(E_BUG, "%s: dataset '%s' asked of a closed file", f->path, dataset);
    if (!h5_has(f, dataset))
        return FAIL(E_INPUT, "%s: there is no dataset '%s' in it; is it the right file, made by this version?", f->path,
                    dataset);
    H5O_info_t info;
    if (H5Oget_info_by_name2(f->id, dataset, &info, H5O_INFO_BASIC, H5P_DEFAULT) >= 0 && info.type != H5O_TYPE_DATASET)
        return FAIL(E_INPUT, "%s: '%s' is not a dataset; is it the right file?", f->path, dataset);
    d->id = H5Dopen2(f->id, dataset, H5P_DEFAULT);
    if (d->id >= 0) d->space = H5Dget_space(d->id);
    if (d->id >= 0) d->type = H5Dget_type(d->id);
    Status st = OK;
    if (d->id < 0 || d->space < 0 || d->type < 0)
        st = FAIL(E_INPUT, "%s: dataset '%s' cannot be opened (HDF5 says: %s); the file may be damaged: make it again",
                  f->path, dataset, h5_reason());
    if (st == OK) st = read_dims(d, f, dataset);
    if (st != OK) h5_dataset_close(d);
    return st;
}

/* Bytes of a chunk of a dataset, which may be far more than its rows: HDF5 takes memory for all of it. -1 = too many. */
static int64_t chunk_bytes(const H5Dataset *d, int64_t creation)
{
    hsize_t dims[H5_DIMS] = {0};
    int64_t bytes = (int64_t)H5Tget_size(d->type);
    int n = H5Pget_chunk(creation, H5_DIMS, dims);
    for (int i = 0; i < n && i < H5_DIMS; i++)
        if (__builtin_mul_overflow(bytes, (int64_t)dims[i], &bytes)) return -1;
    return bytes;
}

/* A header's numbers become allocations: they must not exceed what the file can hold. */
Status h5_check_storage(const H5Dataset *d, H5File *f, const char *dataset)
{
    int64_t bytes = 0;
    if (__builtin_mul_overflow(d->rows, d->row_items, &bytes) ||
        __builtin_mul_overflow(bytes, (int64_t)H5Tget_size(d->type), &bytes))
        return FAIL(E_INPUT, "%s: dataset '%s' claims an impossible size; the file is damaged", f->path, dataset);
    if (bytes == 0) return OK;
    hid_t creation = H5Dget_create_plist(d->id);
    H5D_layout_t layout = creation < 0 ? H5D_LAYOUT_ERROR : H5Pget_layout(creation);
    int64_t chunk = layout == H5D_CHUNKED ? chunk_bytes(d, creation) : 0;
    if (creation >= 0) H5Pclose(creation);
    if (chunk < 0 || chunk > CHUNK_BYTES)
        return FAIL(
            E_INPUT,
            "%s: dataset '%s' is stored in chunks of more than 1 GiB, each of which must be held to read a row; "
            "h5repack makes smaller ones",
            f->path, dataset);
    if (layout == H5D_VIRTUAL) return OK; /* lives in other files; the arena is the limit */
    hsize_t file_bytes = 0;
    if (layout == H5D_LAYOUT_ERROR || H5Fget_filesize(f->id, &file_bytes) < 0)
        return FAIL(E_INPUT, "%s: dataset '%s' is damaged (HDF5 says: %s)", f->path, dataset, h5_reason());
    if (H5Dget_storage_size(d->id) == 0)
        return FAIL(E_INPUT, "%s: dataset '%s' was never written; make the file again", f->path, dataset);
    int64_t ratio = layout == H5D_CHUNKED ? DEFLATE_RATIO : 1;
    if (bytes / ratio > (int64_t)file_bytes)
        return FAIL(E_INPUT,
                    "%s: dataset '%s' claims %lld bytes, the whole file has %lld; it is damaged: make it again",
                    f->path, dataset, (long long)bytes, (long long)file_bytes);
    return OK;
}

Status h5_shape(H5Shape *out, H5File *f, const char *dataset)
{
    memset(out, 0, sizeof *out);
    H5Dataset d;
    TRY(h5_dataset_open(&d, f, dataset));
    Status st = h5_check_storage(&d, f, dataset);
    if (st == OK && !h5_type_of(&out->type, &out->width, d.type))
        st = FAIL(E_INPUT, "%s: dataset '%s' is neither numbers nor text; is it the right file?", f->path, dataset);
    out->n_dims = d.n_dims;
    memcpy(out->dims, d.dims, sizeof out->dims);
    h5_dataset_close(&d);
    return st;
}

static void dims_text(char *out, size_t size, const int64_t *dims, int n_dims)
{
    size_t used = (size_t)snprintf(out, size, "(");
    for (int i = 0; i < n_dims && used < size; i++) {
        const char *comma = i > 0 ? ", " : "";
        if (dims[i] < 0)
            used += (size_t)snprintf(out + used, size - used, "%sany", comma);
        else
            used += (size_t)snprintf(out + used, size - used, "%s%lld", comma, (long long)dims[i]);
    }
    if (used < size) snprintf(out + used, size - used, ")");
}

Status h5_expect(H5Shape *out, H5File *f, const char *dataset, const int64_t *dims, int n_dims)
{
    TRY(h5_shape(out, f, dataset));
    bool same = out->n_dims == n_dims;
    for (int i = 0; i < n_dims && same; i++) same = dims[i] < 0 || dims[i] == out->dims[i];
    if (same) return OK;
    char found[128], wanted[128];
    dims_text(found, sizeof found, out->dims, out->n_dims);
    dims_text(wanted, sizeof wanted, dims, n_dims);
    return FAIL(E_INPUT, "%s: dataset '%s' has shape %s, %s expected; is it the right file?", f->path, dataset, found,
                wanted);
}

/* ---- rows ---- */

/* The selection of rows [first, first+n) in the file and its twin in memory. */
static hid_t select_rows(const H5Dataset *d, int64_t first, int64_t n)
{
    hsize_t start[H5_DIMS] = {(hsize_t)first}, count[H5_DIMS] = {(hsize_t)n};
    for (int i = 1; i < d->n_dims; i++) count[i] = (hsize_t)d->dims[i];
    if (d->n_dims == 0) return H5Scopy(d->space);
    if (H5Sselect_hyperslab(d->space, H5S_SELECT_SET, start, NULL, count, NULL) < 0) return -1;
    return H5Screate_simple(d->n_dims, count, NULL);
}

Status h5_move_rows(H5File *f, H5Dataset *d, const char *dataset, int64_t memory_type, size_t bytes, void *in,
                    const void *out, int64_t first, int64_t n)
{
    if (first < 0 || n < 0 || first > d->rows || n > d->rows - first)
        return FAIL(in ? E_INPUT : E_OUTPUT, "%s: dataset '%s' has %lld rows, %lld from row %lld on asked for", f->path,
                    dataset, (long long)d->rows, (long long)n, (long long)first);
    int64_t row_bytes = d->row_items * (int64_t)bytes;
    if (n == 0 || row_bytes == 0) return OK;
    int64_t step = PIECE_BYTES / row_bytes > 0 ? PIECE_BYTES / row_bytes : 1;
    for (int64_t done = 0; done < n; done += step) {
        int64_t now = n - done < step ? n - done : step;
        hid_t memory = select_rows(d, first + done, now);
        herr_t r = -1;
        if (memory >= 0 && in)
            r = H5Dread(d->id, memory_type, memory, d->space, H5P_DEFAULT, (char *)in + done * row_bytes);
        if (memory >= 0 && out)
            r = H5Dwrite(d->id, memory_type, memory, d->space, H5P_DEFAULT, (const char *)out + done * row_bytes);
        Status st = OK;
        if (r < 0)
            st = FAIL(in ? E_INPUT : E_OUTPUT, "%s: dataset '%s' cannot be %s (HDF5 says: %s); %s", f->path, dataset,
                      in ? "read" : "written", h5_reason(),
                      in ? "the file may be damaged: make it again" : "is the disk full?");
        if (memory >= 0) H5Sclose(memory);
        TRY(st);
    }
    return OK;
}

/* HDF5 converts text of fixed length only when both sides claim the same character set. */
static int64_t row_type(H5Type type, int64_t width, int64_t file_type)
{
    int64_t t = h5_memory_type(type, width);
    if (type == H5_TEXT) H5Tset_cset(t, H5Tget_cset(file_type));
    return t;
}

/* Variable-length text, row by row of HDF5's own allocations, into cells of `width` bytes; with out = NULL only `longest` is found. */
static Status read_variable(char *out, int64_t *longest, H5File *f, H5Dataset *d, const char *dataset, int64_t width,
                            int64_t first, int64_t n)
{
    enum { MANY = 256 };
    if (d->row_items > MANY)
        return FAIL(E_INPUT, "%s: dataset '%s': variable-length text with long rows is not read", f->path, dataset);
    int64_t step = MANY / (d->row_items > 0 ? d->row_items : 1);
    for (int64_t done = 0; done < n; done += step) {
        int64_t now = n - done < step ? n - done : step;
        char *text[MANY] = {NULL};
        TRY(h5_move_rows(f, d, dataset, d->type, sizeof text[0], text, NULL, first + done, now));
        for (int64_t i = 0; i < now * d->row_items; i++) {
            int64_t length = text[i] ? (int64_t)strlen(text[i]) : 0;
            if (longest && length > *longest) *longest = length;
            if (out && length > 0)
                memcpy(out + (done * d->row_items + i) * width, text[i], (size_t)(length < width ? length : width));
            H5free_memory(text[i]);
        }
    }
    return OK;
}

Status h5_read_rows(void *out, H5File *f, const char *dataset, H5Type type, int64_t width, int64_t first, int64_t n)
{
    Status st = OK;
    H5Dataset d;
    char what[H5_PATH];
    int64_t t = 0;
    TRY(h5_dataset_open(&d, f, dataset));
    snprintf(what, sizeof what, "dataset '%s'", dataset);
    TRY_DONE(h5_check_type(d.type, type, f->path, what));
    if (type == H5_TEXT && H5Tis_variable_str(d.type) > 0) {
        if (n > 0) memset(out, 0, (size_t)(n * d.row_items * width));
        TRY_DONE(read_variable(out, NULL, f, &d, dataset, width, first, n));
        goto done;
    }
    t = row_type(type, width, d.type);
    TRY_DONE(h5_move_rows(f, &d, dataset, t, h5_bytes(type, width), out, NULL, first, n));
done:
    if (t > 0) H5Tclose(t);
    h5_dataset_close(&d);
    return st;
}

Status h5_write_rows(H5File *f, const char *dataset, H5Type type, int64_t width, const void *data, int64_t first,
                     int64_t n)
{
    TRY(FAIL_POINT("h5.write"));
    Status st = OK;
    H5Dataset d;
    char what[H5_PATH];
    int64_t t = 0;
    TRY(h5_dataset_open(&d, f, dataset));
    snprintf(what, sizeof what, "dataset '%s'", dataset);
    TRY_DONE(h5_check_type(d.type, type, f->path, what));
    t = row_type(type, width, d.type);
    TRY_DONE(h5_move_rows(f, &d, dataset, t, h5_bytes(type, width), NULL, data, first, n));
done:
    if (t > 0) H5Tclose(t);
    h5_dataset_close(&d);
    return st;
}

/* ---- new datasets ---- */

Status h5_make_dataset(H5File *f, const char *dataset, int64_t file_type, const int64_t *dims, int n_dims,
                       int64_t creation)
{
    MUST(n_dims >= 0 && n_dims <= H5_DIMS);
    hsize_t sizes[H5_DIMS] = {0};
    for (int i = 0; i < n_dims; i++) {
        MUST(dims[i] >= 0);
        sizes[i] = (hsize_t)dims[i];
    }
    hid_t space = H5Screate_simple(n_dims, sizes, NULL);
    hid_t link = H5Pcreate(H5P_LINK_CREATE), own = creation > 0 ? creation : H5Pcreate(H5P_DATASET_CREATE);
    bool ok = space >= 0 && link >= 0 && own >= 0 && H5Pset_create_intermediate_group(link, 1) >= 0 &&
              H5Pset_obj_track_times(own, false) >= 0; /* the same bytes whenever it is made */
    if (ok && creation <= 0)
        ok = H5Pset_alloc_time(own, H5D_ALLOC_TIME_EARLY) >= 0 && H5Pset_fill_time(own, H5D_FILL_TIME_NEVER) >= 0;
    hid_t d = ok ? H5Dcreate2(f->id, dataset, file_type, space, link, own, H5P_DEFAULT) : -1;
    Status st = OK;
    if (d < 0) {
        char reason[H5_REASON];
        snprintf(reason, sizeof reason, "%s", h5_reason());
        st = FAIL(E_OUTPUT, "%s: dataset '%s' cannot be made (HDF5 says: %s)%s", f->path, dataset, reason,
                  h5_has(f, dataset) ? "; one of that name is there already" : "");
    }
    if (d >= 0 && H5Dclose(d) < 0)
        st = FAIL(E_OUTPUT, "%s: dataset '%s' cannot be made (HDF5 says: %s)", f->path, dataset, h5_reason());
    if (space >= 0) H5Sclose(space);
    if (link >= 0) H5Pclose(link);
    if (creation <= 0 && own >= 0) H5Pclose(own);
    return st;
}

Status h5_new(H5File *f, const char *dataset, H5Type type, int64_t width, const int64_t *dims, int n_dims)
{
    int64_t t = h5_file_type(type, width);
    Status st = h5_make_dataset(f, dataset, t, dims, n_dims, 0);
    H5Tclose(t);
    if (st == OK) st = h5_reserve(f);
    return H5_AGREE(f, st);
}

Status h5_put(H5File *f, const char *dataset, H5Type type, int64_t width, const void *data, const int64_t *dims,
              int n_dims)
{
    TRY(h5_new(f, dataset, type, width, dims, n_dims));
    Status st = OK;
    if (!f->par || f->par->rank == 0) st = h5_write_rows(f, dataset, type, width, data, 0, n_dims > 0 ? dims[0] : 1);
    return H5_AGREE(f, st);
}

Status h5_get(void **out, H5Shape *shape, H5File *f, const char *dataset, H5Type type, Arena *a)
{
    H5Shape own;
    if (!shape) shape = &own;
    TRY(h5_shape(shape, f, dataset));
    int64_t rows = shape->n_dims > 0 ? shape->dims[0] : 1, items = rows;
    for (int i = 1; i < shape->n_dims; i++) items *= shape->dims[i];
    if (type == H5_TEXT && shape->type == H5_TEXT && shape->width == 0) { /* variable length: as wide as the longest */
        H5Dataset d;
        TRY(h5_dataset_open(&d, f, dataset));
        Status st = read_variable(NULL, &shape->width, f, &d, dataset, 0, 0, rows);
        h5_dataset_close(&d);
        TRY(st);
        if (shape->width == 0) shape->width = 1;
    }
    size_t bytes = h5_bytes(type, shape->width);
    TRY(arena_take(out, a, items, bytes));
    return h5_read_rows(*out, f, dataset, type, shape->width, 0, rows);
}
