/* h5_type.c - HDF5's types and ours, and what HDF5 says when something fails. */
#include "h5_impl.h"

#include <hdf5.h>
#include <stdio.h>
#include <string.h>

/* ---- errors and version ---- */

/* Without its own handler at exit, which trips over a file whose last writes failed: all others are closed by then. */
void h5_silence(void)
{
    static bool begun;
    if (!begun) H5dont_atexit(); /* before anything else of the library */
    begun = true;
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

const char *h5_version(void)
{
    static char text[32];
    unsigned major = 0, minor = 0, release = 0;
    h5_silence();
    H5get_libversion(&major, &minor, &release);
    snprintf(text, sizeof text, "%u.%u.%u", major, minor, release);
    return text;
}

/* Of a failed write HDF5 tells time, addresses and numbers as well: the system's words are enough. */
static const char system_says[] = "error message = '";

static herr_t keep_first(unsigned n, const H5E_error2_t *e, void *out)
{
    if (n != 0 || !e->desc) return 0;
    const char *words = strstr(e->desc, system_says);
    if (words)
        words += sizeof system_says - 1;
    else
        words = e->desc;
    snprintf(out, H5_REASON, "%.*s", (int)strcspn(words, words == e->desc ? "" : "'"), words);
    return 0;
}

const char *h5_reason(void)
{
    static char text[H5_REASON];
    snprintf(text, sizeof text, "no reason given");
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, text);
    return text;
}

/* ---- types ---- */

/* In the order of H5Type; H5T_* are handles known at run time only. */
static hid_t number_type(H5Type type, bool memory)
{
    switch (type) {
    case H5_I8: return memory ? H5T_NATIVE_INT8 : H5T_STD_I8LE;
    case H5_U8: return memory ? H5T_NATIVE_UINT8 : H5T_STD_U8LE;
    case H5_I16: return memory ? H5T_NATIVE_INT16 : H5T_STD_I16LE;
    case H5_U16: return memory ? H5T_NATIVE_UINT16 : H5T_STD_U16LE;
    case H5_I32: return memory ? H5T_NATIVE_INT32 : H5T_STD_I32LE;
    case H5_U32: return memory ? H5T_NATIVE_UINT32 : H5T_STD_U32LE;
    case H5_I64: return memory ? H5T_NATIVE_INT64 : H5T_STD_I64LE;
    case H5_U64: return memory ? H5T_NATIVE_UINT64 : H5T_STD_U64LE;
    case H5_F32: return memory ? H5T_NATIVE_FLOAT : H5T_IEEE_F32LE;
    case H5_F64: return memory ? H5T_NATIVE_DOUBLE : H5T_IEEE_F64LE;
    case H5_TEXT: break;
    }
    return -1;
}

static int64_t new_type(H5Type type, int64_t width, bool memory)
{
    if (type != H5_TEXT) return H5Tcopy(number_type(type, memory));
    MUST(width > 0);
    hid_t t = H5Tcopy(H5T_C_S1);
    H5Tset_size(t, (size_t)width);
    H5Tset_strpad(t, H5T_STR_NULLPAD);
    return t;
}

int64_t h5_memory_type(H5Type type, int64_t width) { return new_type(type, width, true); }
int64_t h5_file_type(H5Type type, int64_t width) { return new_type(type, width, false); }

size_t h5_bytes(H5Type type, int64_t width)
{
    static const unsigned char bytes[] = {1, 1, 2, 2, 4, 4, 8, 8, 4, 8};
    return type == H5_TEXT ? (size_t)width : bytes[type];
}

bool h5_type_of(H5Type *type, int64_t *width, int64_t file_type)
{
    H5T_class_t class = H5Tget_class(file_type);
    size_t size = H5Tget_size(file_type);
    *width = (int64_t)size;
    if (class == H5T_STRING) {
        *type = H5_TEXT;
        if (H5Tis_variable_str(file_type) > 0) *width = 0;
        return true;
    }
    if (class == H5T_FLOAT) {
        *type = size <= 4 ? H5_F32 : H5_F64; /* half precision reads as float */
        *width = size <= 4 ? 4 : 8;
        return true;
    }
    if (class != H5T_INTEGER && class != H5T_ENUM) return false; /* h5py's booleans are an enum of int8 */
    bool is_signed = true;
    if (class == H5T_ENUM) {
        hid_t base = H5Tget_super(file_type);
        is_signed = H5Tget_sign(base) != H5T_SGN_NONE;
        H5Tclose(base);
    } else {
        is_signed = H5Tget_sign(file_type) != H5T_SGN_NONE;
    }
    int step = size <= 1 ? 0 : size <= 2 ? 1 : size <= 4 ? 2 : 3;
    *type = (H5Type)(H5_I8 + 2 * step + (is_signed ? 0 : 1));
    *width = (int64_t)1 << step;
    return true;
}

Status h5_check_type(int64_t file_type, H5Type type, const char *path, const char *what)
{
    H5Type found = H5_I8;
    int64_t width = 0;
    if (!h5_type_of(&found, &width, file_type))
        return FAIL(E_INPUT, "%s: %s is neither numbers nor text (a compound or a list); this program cannot use it",
                    path, what);
    if ((found == H5_TEXT) != (type == H5_TEXT))
        return FAIL(E_INPUT, "%s: %s holds %s, %s expected; is it the right file?", path, what,
                    found == H5_TEXT ? "text" : "numbers", type == H5_TEXT ? "text" : "numbers");
    return OK;
}
