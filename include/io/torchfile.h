/* torchfile.h - PyTorch checkpoints (.ckpt, .pth) as a list of named tensors, without Python and without executing anything (spec.md 7).

       TorchFile f;
       TRY(torchfile_open(&f, "astroclip.ckpt", a));
       const TorchTensor *t = torchfile_find(&f, "spectrum_encoder.backbone.data_embed.weight");
       TRY(torchfile_read(values, &f, t, scratch));                (t->n floats, row-major)
       torchfile_close(&f);

   Local, all of it. */
#ifndef IO_TORCHFILE_H
#define IO_TORCHFILE_H

#include "core/hash.h"
#include "io/torch_zip.h"

enum { TORCH_DIMS = 8 };

typedef enum {
    TORCH_F32,
    TORCH_F64,
    TORCH_F16,
    TORCH_BF16,
    TORCH_I64,
    TORCH_I32,
    TORCH_I16,
    TORCH_I8,
    TORCH_U8,
    TORCH_BOOL
} TorchType;

typedef struct {
    const char *name; /* wrappers (module., _orig_mod., _fsdp_wrapped_module.) taken off */
    TorchType type;
    int n_dims; /* 0 = a scalar */
    int64_t dims[TORCH_DIMS];
    int64_t stride[TORCH_DIMS]; /* elements */
    int64_t offset;             /* of the first element in the storage */
    int64_t n;                  /* elements of the tensor  */
    int64_t n_stored;           /* elements of the storage */
    TorchZipEntry *storage;     /* may be shared with other tensors; NULL if n = 0 */
} TorchTensor;

typedef struct {
    TorchZip zip;
    const char *map; /* where the tensors stood: "state_dict", "teacher", or "" for the top level */
    int64_t n;
    TorchTensor *tensor; /* (n) sorted by name */
} TorchFile;

/* Names, shapes and places of all tensors; each lies within its storage. */
Status torchfile_open(TorchFile *f, const char *path, Arena *a);
void torchfile_close(TorchFile *f); /* twice-safe */

const TorchTensor *torchfile_find(const TorchFile *f, const char *name); /* NULL if absent */

/* t->n values, row-major, converted to float32. Memory: the bytes that the tensor spans in its storage, given back. */
Status torchfile_read(float *out, TorchFile *f, const TorchTensor *t, Arena *scratch);

/* What the file holds: names, sizes and checksums of all entries. Costs no reading. */
Fingerprint torchfile_identity(const TorchFile *f);

/* ---- writing: {MAP: OrderedDict of float32 tensors}, which torch.load opens, weights_only too ---- */

typedef struct TorchWritten TorchWritten;

typedef struct {
    TorchZipWriter zip;
    const char *map; /* borrowed */
    int64_t n;
    TorchWritten *first, *last;
    Arena *a; /* borrowed */
} TorchWriter;

/* map: "state_dict" (with the keys that PyTorch Lightning wants beside it) or "teacher". Writes PATH.part. */
Status torchfile_create(TorchWriter *w, const char *path, const char *map, Arena *a);
Status torchfile_put(TorchWriter *w, const char *name, const float *values, int n_dims, const int64_t *dims);
Status torchfile_finish(TorchWriter *w); /* then the final name */
void torchfile_abandon(TorchWriter *w);  /* after a failure; twice-safe */

#endif
