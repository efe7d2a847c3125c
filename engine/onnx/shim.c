#include "shim.h"

static const OrtApi *api;
static OrtAllocator *allocator;
static OrtMemoryInfo *memory;
static OrtEnv *env;

// message turns a status into text.
static char *message(OrtStatus *status) {
  if (status == NULL) return NULL;
  char *text = strdup(api->GetErrorMessage(status));
  api->ReleaseStatus(status);
  return text;
}

char *shim_init(void *get_api_base) {
  const OrtApiBase *base = ((const OrtApiBase *(*)(void))get_api_base)();
  api = base->GetApi(ORT_API_VERSION);
  if (api == NULL) return strdup("the library is older than this program needs");
  OrtStatus *status = api->GetAllocatorWithDefaultOptions(&allocator);
  if (status == NULL) status = api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory);
  // There is one environment a process: this is the binding's once more.
  if (status == NULL) status = api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "shim", &env);
  return message(status);
}

char *shim_count(OrtSession *s, size_t *inputs, size_t *outputs) {
  OrtStatus *status = api->SessionGetInputCount(s, inputs);
  if (status == NULL) status = api->SessionGetOutputCount(s, outputs);
  return message(status);
}

// describe_tensor fills in what only tensors have.
static OrtStatus *describe_tensor(const OrtTypeInfo *type, shim_info *out) {
  const OrtTensorTypeAndShapeInfo *t = NULL;
  enum ONNXTensorElementDataType dtype;
  OrtStatus *status = api->CastTypeInfoToTensorInfo(type, &t);
  if (status == NULL) status = api->GetTensorElementType(t, &dtype);
  if (status == NULL) status = api->GetDimensionsCount(t, &out->rank);
  if (status != NULL) return status;
  out->dtype = dtype;
  out->shape = calloc(out->rank + 1, sizeof(int64_t));
  out->symbols = calloc(out->rank + 1, sizeof(char *));
  const char **symbols = calloc(out->rank + 1, sizeof(char *));
  status = api->GetDimensions(t, out->shape, out->rank);
  if (status == NULL) status = api->GetSymbolicDimensions(t, symbols, out->rank);
  for (size_t i = 0; status == NULL && i < out->rank; i++) out->symbols[i] = strdup(symbols[i]);
  free(symbols);
  return status;
}

// describe_composite fills in what a sequence or map is of, as far as it is of
// tensors, or maps of them.
static OrtStatus *describe_composite(const OrtTypeInfo *type, enum ONNXType of, shim_info *out) {
  OrtStatus *status = NULL;
  OrtTypeInfo *inner = NULL;
  const OrtTensorTypeAndShapeInfo *t = NULL;
  enum ONNXTensorElementDataType dtype = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  enum ONNXType inner_type = ONNX_TYPE_UNKNOWN;
  if (of == ONNX_TYPE_SEQUENCE) {
    const OrtSequenceTypeInfo *sequence = NULL;
    status = api->CastTypeInfoToSequenceTypeInfo(type, &sequence);
    if (status == NULL) status = api->GetSequenceElementType(sequence, &inner);
    if (status == NULL) status = api->GetOnnxTypeFromTypeInfo(inner, &inner_type);
    if (status == NULL && inner_type == ONNX_TYPE_MAP) status = describe_composite(inner, ONNX_TYPE_MAP, out);
    out->element = inner_type;
  } else {
    const OrtMapTypeInfo *map = NULL;
    status = api->CastTypeInfoToMapTypeInfo(type, &map);
    if (status == NULL) status = api->GetMapKeyType(map, &dtype);
    out->key = dtype;
    if (status == NULL) status = api->GetMapValueType(map, &inner);
    if (status == NULL) status = api->GetOnnxTypeFromTypeInfo(inner, &inner_type);
  }
  if (status == NULL && inner_type == ONNX_TYPE_TENSOR) {
    status = api->CastTypeInfoToTensorInfo(inner, &t);
    if (status == NULL) status = api->GetTensorElementType(t, &dtype);
    out->dtype = dtype;
  }
  if (inner != NULL) api->ReleaseTypeInfo(inner);
  return status;
}

char *shim_describe(OrtSession *s, int is_output, size_t i, shim_info *out) {
  char *name = NULL;
  OrtTypeInfo *type = NULL;
  enum ONNXType onnx_type = ONNX_TYPE_UNKNOWN;
  OrtStatus *status = is_output ? api->SessionGetOutputName(s, i, allocator, &name)
                                : api->SessionGetInputName(s, i, allocator, &name);
  if (status != NULL) return message(status);
  out->name = strdup(name);
  allocator->Free(allocator, name);
  status = is_output ? api->SessionGetOutputTypeInfo(s, i, &type) : api->SessionGetInputTypeInfo(s, i, &type);
  if (status == NULL) status = api->GetOnnxTypeFromTypeInfo(type, &onnx_type);
  out->onnx_type = onnx_type;
  if (status == NULL && onnx_type == ONNX_TYPE_TENSOR) status = describe_tensor(type, out);
  if (status == NULL && is_output && (onnx_type == ONNX_TYPE_SEQUENCE || onnx_type == ONNX_TYPE_MAP)) status = describe_composite(type, onnx_type, out);
  if (type != NULL) api->ReleaseTypeInfo(type);
  return message(status);
}

void shim_free_info(shim_info *info) {
  free(info->name);
  free(info->shape);
  for (size_t i = 0; info->symbols != NULL && i < info->rank; i++) free(info->symbols[i]);
  free(info->symbols);
}

char *shim_wrap(void *data, size_t bytes, const int64_t *shape, size_t rank, int dtype, OrtValue **out) {
  return message(api->CreateTensorWithDataAsOrtValue(memory, data, bytes, shape, rank, dtype, out));
}

char *shim_new(OrtAllocator *where, const int64_t *shape, size_t rank, int dtype, OrtValue **out, void **data) {
  OrtStatus *status = api->CreateTensorAsOrtValue(where == NULL ? allocator : where, shape, rank, dtype, out);
  if (status == NULL) status = api->GetTensorMutableData(*out, data);
  return message(status);
}

char *shim_new_strings(const int64_t *shape, size_t rank, OrtValue **out) {
  return message(api->CreateTensorAsOrtValue(allocator, shape, rank, ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, out));
}

char *shim_set_string(OrtValue *v, size_t i, const char *bytes, size_t n) {
  char *buffer = NULL;
  OrtStatus *status = api->GetResizedStringTensorElementBuffer(v, i, n, &buffer);
  if (status == NULL && n > 0) memcpy(buffer, bytes, n);
  return message(status);
}

char *shim_string_length(OrtValue *v, size_t i, size_t *n) {
  return message(api->GetStringTensorElementLength(v, i, n));
}

char *shim_get_string(OrtValue *v, size_t i, char *buffer, size_t n) {
  return message(api->GetStringTensorElement(v, n, i, buffer));
}

void shim_release(OrtValue *v) {
  if (v != NULL) api->ReleaseValue(v);
}

int shim_fits(size_t n) {
  void *volatile p = malloc(n);
  free(p);
  return p != NULL;
}

char *shim_tensor(OrtValue *v, int *dtype, int64_t *shape, size_t max, size_t *rank, void **data) {
  OrtTensorTypeAndShapeInfo *t = NULL;
  enum ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  OrtStatus *status = api->GetTensorTypeAndShape(v, &t);
  if (status != NULL) return message(status);
  status = api->GetTensorElementType(t, &type);
  if (status == NULL) status = api->GetDimensionsCount(t, rank);
  if (status == NULL && *rank > max) status = api->CreateStatus(ORT_FAIL, "an output has too many dimensions");
  if (status == NULL) status = api->GetDimensions(t, shape, *rank);
  if (status == NULL && type != ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING) status = api->GetTensorMutableData(v, data);
  *dtype = type;
  api->ReleaseTensorTypeAndShapeInfo(t);
  return message(status);
}

char *shim_count_values(OrtValue *v, size_t *n) { return message(api->GetValueCount(v, n)); }

char *shim_value(OrtValue *v, size_t i, OrtValue **out) { return message(api->GetValue(v, (int)i, allocator, out)); }

char *shim_new_options(const char *tag, OrtRunOptions **out) {
  char *m = message(api->CreateRunOptions(out));
  if (m != NULL || *tag == '\0') return m;
  m = message(api->RunOptionsSetRunTag(*out, tag));
  if (m != NULL) api->ReleaseRunOptions(*out);
  return m;
}

void shim_terminate(OrtRunOptions *o) {
  OrtStatus *status = api->RunOptionsSetTerminate(o);
  if (status != NULL) api->ReleaseStatus(status);
}

void shim_free_options(OrtRunOptions *o) { api->ReleaseRunOptions(o); }

char *shim_shrink(OrtRunOptions *o) { return message(api->AddRunConfigEntry(o, "memory.enable_memory_arena_shrinkage", "cpu:0")); }

char *shim_run(OrtSession *s, OrtRunOptions *o,
               const char *const *in_names, OrtValue **in, size_t n_in,
               const char *const *out_names, OrtValue **out, size_t n_out) {
  return message(api->Run(s, o, in_names, (const OrtValue *const *)in, n_in, out_names, n_out, out));
}

char *shim_memory(const OrtEpDevice *device, OrtAllocator **own, OrtAllocator **host) {
  const OrtMemoryInfo *info = api->EpDevice_MemoryInfo(device, OrtDeviceMemoryType_DEFAULT);
  OrtStatus *status = NULL;
  if (info != NULL) status = api->GetSharedAllocator(env, info, own);
  info = api->EpDevice_MemoryInfo(device, OrtDeviceMemoryType_HOST_ACCESSIBLE);
  if (status == NULL && info != NULL) status = api->GetSharedAllocator(env, info, host);
  return message(status);
}

char *shim_held(OrtSession *s, const OrtEpDevice *device, int64_t *bytes) {
  const OrtMemoryInfo *info = api->EpDevice_MemoryInfo(device, OrtDeviceMemoryType_DEFAULT);
  OrtAllocator *allocator = NULL;
  OrtKeyValuePairs *stats = NULL;
  if (info == NULL) return NULL;
  OrtStatus *status = api->CreateAllocator(s, info, &allocator);
  if (status == NULL) status = api->AllocatorGetStats(allocator, &stats);
  const char *total = stats == NULL ? NULL : api->GetKeyValue(stats, "TotalAllocated");
  if (total != NULL) *bytes = strtoll(total, NULL, 10);
  api->ReleaseKeyValuePairs(stats);
  api->ReleaseAllocator(allocator);
  return message(status);
}

char *shim_bind(OrtSession *s, const char *const *in_names, OrtValue **in, size_t n_in,
                const char *const *out_names, OrtValue **out, size_t n_out, OrtIoBinding **binding) {
  OrtStatus *status = api->CreateIoBinding(s, binding);
  for (size_t i = 0; status == NULL && i < n_in; i++) status = api->BindInput(*binding, in_names[i], in[i]);
  for (size_t i = 0; status == NULL && i < n_out; i++) status = api->BindOutput(*binding, out_names[i], out[i]);
  return message(status);
}

void shim_free_binding(OrtIoBinding *b) { api->ReleaseIoBinding(b); }

char *shim_graph(OrtRunOptions *o, const char *id) { return message(api->AddRunConfigEntry(o, "gpu_graph_id", id)); }

char *shim_run_bound(OrtSession *s, OrtRunOptions *o, OrtIoBinding *b,
                     OrtValue **in_host, OrtValue **in, size_t n_in,
                     OrtValue **out_host, OrtValue **out, size_t n_out) {
  OrtStatus *status = api->CopyTensors(env, (const OrtValue *const *)in_host, in, NULL, n_in);
  if (status == NULL) status = api->RunWithBinding(s, o, b);
  if (status == NULL) status = api->CopyTensors(env, (const OrtValue *const *)out, out_host, NULL, n_out);
  return message(status);
}

char *shim_register(const char *name, const char *path) {
  return message(api->RegisterExecutionProviderLibrary(env, name, path));
}

char *shim_devices(shim_device *out, size_t max, size_t *n) {
  const OrtEpDevice *const *all = NULL;
  OrtStatus *status = api->GetEpDevices(env, &all, n);
  for (size_t i = 0; status == NULL && i < *n && i < max; i++) {
    const OrtHardwareDevice *hardware = api->EpDevice_Device(all[i]);
    const OrtKeyValuePairs *about = api->HardwareDevice_Metadata(hardware);
    out[i].device = all[i];
    out[i].provider = api->EpDevice_EpName(all[i]);
    out[i].vendor = api->HardwareDevice_Vendor(hardware);
    out[i].description = about == NULL ? NULL : api->GetKeyValue(about, "Description");
    out[i].type = api->HardwareDevice_Type(hardware);
    out[i].vendor_id = api->HardwareDevice_VendorId(hardware);
  }
  return message(status);
}

char *shim_append(OrtSessionOptions *o, const OrtEpDevice *device, const char *const *keys, const char *const *values, size_t n) {
  return message(api->SessionOptionsAppendExecutionProvider_V2(o, env, &device, 1, keys, values, n));
}

char *shim_append_name(OrtSessionOptions *o, const char *name, const char *const *keys, const char *const *values, size_t n) {
  if (strcmp(name, "OpenVINO") == 0) return message(api->SessionOptionsAppendExecutionProvider_OpenVINO_V2(o, keys, values, n));
  return message(api->SessionOptionsAppendExecutionProvider(o, name, keys, values, n));
}

char *shim_assigned(const OrtSession *s, size_t i, const char **provider, size_t *nodes) {
  const OrtEpAssignedSubgraph *const *graphs = NULL;
  const OrtEpAssignedNode *const *in = NULL;
  size_t n = 0;
  OrtStatus *status = api->Session_GetEpGraphAssignmentInfo(s, &graphs, &n);
  *provider = NULL;
  if (status == NULL && i < n) {
    status = api->EpAssignedSubgraph_GetEpName(graphs[i], provider);
    if (status == NULL) status = api->EpAssignedSubgraph_GetNodes(graphs[i], &in, nodes);
  }
  return message(status);
}
