// The calls of the ONNX Runtime C API that this package makes. All of them
// return NULL or a message, which the caller frees.
#ifndef IPFS_ACCELERATE_SHIM_H
#define IPFS_ACCELERATE_SHIM_H

// The binding's trick: Unix calling conventions and paths on Windows too.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _WIN32
#define IPFS_ACCELERATE_WIN32
#undef _WIN32
#endif
#include "onnxruntime_c_api.h"
#ifdef IPFS_ACCELERATE_WIN32
#define _WIN32
#endif

// shim_init takes the address of OrtGetApiBase. It comes before all others.
char *shim_init(void *get_api_base);

// A description of one input or output. The caller frees name and symbols.
typedef struct {
  char *name;
  int onnx_type;  // ONNXType; the rest is set for tensors, and dtype for what is made of them
  int element;    // ONNXType of a sequence's elements
  int key;        // ONNXTensorElementDataType of a map's keys
  int dtype;      // ONNXTensorElementDataType, of a map's values
  size_t rank;
  int64_t *shape;  // rank values, -1 where open; freed by the caller
  char **symbols;  // rank names, "" where there is none; freed by the caller
} shim_info;

char *shim_count(OrtSession *s, size_t *inputs, size_t *outputs);
char *shim_describe(OrtSession *s, int is_output, size_t i, shim_info *out);
void shim_free_info(shim_info *info);

// shim_wrap makes a tensor over memory that outlives it.
char *shim_wrap(void *data, size_t bytes, const int64_t *shape, size_t rank, int dtype, OrtValue **out);
// shim_new makes a tensor in memory of its own, and tells where that is. NULL is
// the usual place.
char *shim_new(OrtAllocator *where, const int64_t *shape, size_t rank, int dtype, OrtValue **out, void **data);
char *shim_new_strings(const int64_t *shape, size_t rank, OrtValue **out);
char *shim_set_string(OrtValue *v, size_t i, const char *bytes, size_t n);
char *shim_get_string(OrtValue *v, size_t i, char *buffer, size_t n);
char *shim_string_length(OrtValue *v, size_t i, size_t *n);
void shim_release(OrtValue *v);

// shim_fits reports whether n more bytes can be had from the system.
int shim_fits(size_t n);

// shim_tensor tells what an output is. The shape has room for max dimensions.
char *shim_tensor(OrtValue *v, int *dtype, int64_t *shape, size_t max, size_t *rank, void **data);

// shim_count_values says how many values are in a sequence, or 2 of a map: its
// keys and what they lead to. shim_value is one of them, which the caller frees.
char *shim_count_values(OrtValue *v, size_t *n);
char *shim_value(OrtValue *v, size_t i, OrtValue **out);

// shim_new_options makes options; a tag that is not empty is in what the library
// logs of the run.
char *shim_new_options(const char *tag, OrtRunOptions **out);
void shim_terminate(OrtRunOptions *o);
void shim_free_options(OrtRunOptions *o);

// shim_shrink has a run on the processor end with the arena giving back what it
// does not use.
char *shim_shrink(OrtRunOptions *o);

char *shim_run(OrtSession *s, OrtRunOptions *o,
               const char *const *in_names, OrtValue **in, size_t n_in,
               const char *const *out_names, OrtValue **out, size_t n_out);

// shim_memory finds what gives out a device's memory, and the host's that it
// reaches by itself. NULL is none.
char *shim_memory(const OrtEpDevice *device, OrtAllocator **own, OrtAllocator **host);

// shim_held is how much memory of a device its allocator has taken for a
// session, 0 if it does not say.
char *shim_held(OrtSession *s, const OrtEpDevice *device, int64_t *bytes);

// shim_bind makes a binding that has runs take and give these values, where
// they lie.
char *shim_bind(OrtSession *s, const char *const *in_names, OrtValue **in, size_t n_in,
                const char *const *out_names, OrtValue **out, size_t n_out, OrtIoBinding **binding);
void shim_free_binding(OrtIoBinding *b);

// shim_graph says which of the device's recorded graphs a run is.
char *shim_graph(OrtRunOptions *o, const char *id);

// shim_run_bound copies the inputs to where a binding has them, runs, and
// copies the outputs from there.
char *shim_run_bound(OrtSession *s, OrtRunOptions *o, OrtIoBinding *b,
                     OrtValue **in_host, OrtValue **in, size_t n_in,
                     OrtValue **out_host, OrtValue **out, size_t n_out);

// shim_register loads the library of an execution provider that is a plug-in.
char *shim_register(const char *name, const char *path);

// A device that an execution provider offers. The strings are the library's.
typedef struct {
  const OrtEpDevice *device;
  const char *provider;
  const char *vendor;       // of the hardware
  const char *description;  // of the hardware, NULL if the system has none
  int type;                 // OrtHardwareDeviceType
  uint32_t vendor_id;       // of the PCI bus
} shim_device;

// shim_devices fills at most max devices and says how many there are.
char *shim_devices(shim_device *out, size_t max, size_t *n);

// shim_append adds a device of a plug-in to the options, shim_append_name a
// provider that is part of the library. Both have n settings.
char *shim_append(OrtSessionOptions *o, const OrtEpDevice *device, const char *const *keys, const char *const *values, size_t n);
char *shim_append_name(OrtSessionOptions *o, const char *name, const char *const *keys, const char *const *values, size_t n);

// shim_assigned says which provider subgraph i of a session is with, and how
// many nodes it has. It reports 0 subgraphs beyond the last.
char *shim_assigned(const OrtSession *s, size_t i, const char **provider, size_t *nodes);

#endif
