// A CUDA driver of paper: a device with memory but without processors.
//
// It moves bytes, writes down what it is asked for, and does not compute; so it shows, where there
// is no GPU, that the calls are ones that a driver takes, and in which order they come. While
// launches are recorded it refuses what a driver refuses then. test_cuda_driver.py builds it as
// libcuda.so.1. Settings: PAPER_LOG (a file), PAPER_INIT, PAPER_COUNT, PAPER_CC, PAPER_LOAD,
// PAPER_NO_GRAPHS, PAPER_TOTAL and PAPER_PINNED (bytes).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int Result;
typedef unsigned long long Pointer;
typedef void *Handle;
enum { OK = 0, OUT_OF_MEMORY = 2, NOT_FOUND = 500, NOT_SUPPORTED = 801, INVALID_CAPTURE = 901 };
enum { UNSUPPORTED_IN_CAPTURE = 900 };
enum { MULTIPROCESSORS = 16, MAJOR = 75, MINOR = 76 };
#define CONTEXT ((Handle)0x1000)
#define GRAPH ((Handle)0x2000)
#define RECORDED ((Handle)0x3000)

static size_t used;
static int capturing, spoilt, handles;
static Handle current;

static void say(const char *format, ...) {
  static FILE *file;
  if (!file) {
    const char *path = getenv("PAPER_LOG");
    file = path ? fopen(path, "a") : stderr;
    setlinebuf(file);
  }
  va_list more;
  va_start(more, format);
  vfprintf(file, format, more);
  fputs(capturing ? " recorded\n" : "\n", file);
  va_end(more);
}

static long long setting(const char *name, long long otherwise) {
  const char *value = getenv(name);
  return value ? atoll(value) : otherwise;
}

static Handle fresh(void) { return (Handle)(uintptr_t)(0x10000 + 16 * ++handles); }
static size_t total(void) { return setting("PAPER_TOTAL", 1 << 30); }

#define NOT_WHILE_RECORDING(name)  \
  if (capturing) {                 \
    say("ILLEGAL %s", name);       \
    spoilt = 1;                    \
    return UNSUPPORTED_IN_CAPTURE; \
  }

// the device
Result cuInit(unsigned flags) { return setting("PAPER_INIT", OK); }
Result cuDriverGetVersion(int *v) { *v = 13000; return OK; }
Result cuDeviceGetCount(int *n) { *n = setting("PAPER_COUNT", 1); return OK; }
Result cuDeviceGet(int *d, int k) { *d = k; return OK; }
Result cuDeviceGetName(char *s, int n, int d) { snprintf(s, n, "Paper"); return OK; }
Result cuDeviceGetUuid(char *u, int d) { memset(u, 7, 16); return OK; }
Result cuDeviceTotalMem(size_t *n, int d) { *n = total(); return OK; }
Result cuDeviceGetAttribute(int *v, int a, int d) {
  int cc = setting("PAPER_CC", 90);
  *v = a == MAJOR ? cc / 10 : a == MINOR ? cc % 10 : a == MULTIPROCESSORS ? 132 : 1;
  return OK;
}
Result cuGetErrorName(int e, const char **s) { *s = "CUDA_ERROR_OF_PAPER"; return OK; }
Result cuGetErrorString(int e, const char **s) { *s = "an error of paper"; return OK; }

// contexts
Result cuDevicePrimaryCtxRetain(Handle *c, int d) { *c = CONTEXT; return OK; }
Result cuDevicePrimaryCtxRelease(int d) { return OK; }
Result cuDevicePrimaryCtxGetState(int d, unsigned *f, int *a) { *f = 0; *a = 1; return OK; }
Result cuCtxGetCurrent(Handle *c) { *c = current; return OK; }
Result cuCtxSetCurrent(Handle c) { current = c; return OK; }
Result cuCtxPushCurrent(Handle c) { current = c; return OK; }
Result cuCtxPopCurrent(Handle *c) { *c = current; current = 0; return OK; }
Result cuCtxGetDevice(int *d) { *d = 0; return OK; }
Result cuCtxSynchronize(void) { NOT_WHILE_RECORDING("synchronize") say("wait all"); return OK; }

// memory
Result cuMemGetInfo(size_t *f, size_t *t) { *f = total() - used; *t = total(); return OK; }
Result cuMemAlloc(Pointer *p, size_t n) {
  NOT_WHILE_RECORDING("allocate")
  if (used + n > total()) return OUT_OF_MEMORY;
  size_t *block = malloc(n + 256);
  *block = n;
  used += n;
  *p = (Pointer)block + 256;
  say("allocate %zu", n);
  return OK;
}
Result cuMemFree(Pointer p) {
  NOT_WHILE_RECORDING("free")
  size_t *block = (size_t *)(p - 256);
  used -= *block;
  say("free %zu", *block);
  free(block);
  return OK;
}
Result cuMemHostAlloc(Handle *p, size_t n, unsigned f) {
  NOT_WHILE_RECORDING("pin")
  if ((long long)n > setting("PAPER_PINNED", 1 << 30)) return OUT_OF_MEMORY;
  say("pin %zu", n);
  *p = malloc(n);
  return OK;
}
Result cuMemFreeHost(Handle p) { NOT_WHILE_RECORDING("unpin") free(p); return OK; }
#define COPY(name, to, from, word)                       \
  Result name(to d, from s, size_t n) {                  \
    NOT_WHILE_RECORDING(word)                            \
    say("blocking " word " %zu", n);                     \
    memcpy((Handle)d, (Handle)s, n);                     \
    return OK;                                           \
  }                                                      \
  Result name##Async(to d, from s, size_t n, Handle q) { \
    say(word " %zu on %p", n, q);                        \
    if (!capturing) memcpy((Handle)d, (Handle)s, n);     \
    return OK;                                           \
  }
COPY(cuMemcpyHtoD, Pointer, Handle, "up")
COPY(cuMemcpyDtoH, Handle, Pointer, "down")
COPY(cuMemcpyDtoD, Pointer, Pointer, "across")
Result cuMemsetD8Async(Pointer d, unsigned char v, size_t n, Handle q) {
  say("set %zu on %p", n, q);
  memset((Handle)d, v, n);
  return OK;
}

// streams and events
Result cuStreamCreate(Handle *q, unsigned f) { *q = fresh(); say("stream %p", *q); return OK; }
Result cuStreamDestroy(Handle q) { return OK; }
Result cuStreamSynchronize(Handle q) {
  NOT_WHILE_RECORDING("wait") say("wait %p", q); return OK; }
Result cuStreamGetFlags(Handle q, unsigned *f) { *f = 0; return OK; }
Result cuStreamGetPriority(Handle q, int *p) { *p = 0; return OK; }
Result cuStreamGetCtx(Handle q, Handle *c) { *c = CONTEXT; return OK; }
Result cuStreamIsCapturing(Handle q, int *c) { *c = capturing; return OK; }
Result cuStreamWaitEvent(Handle q, Handle e, unsigned f) { say("%p after %p", q, e); return OK; }
Result cuEventCreate(Handle *e, unsigned f) { *e = fresh(); return OK; }
Result cuEventDestroy(Handle e) { return OK; }
Result cuEventRecord(Handle e, Handle q) { say("mark %p on %p", e, q); return OK; }
Result cuEventRecordWithFlags(Handle e, Handle q, unsigned f) {
  say("mark %p on %p flags %u", e, q, f);
  return OK;
}
Result cuEventSynchronize(Handle e) { NOT_WHILE_RECORDING("wait") say("meet %p", e); return OK; }
Result cuEventQuery(Handle e) { NOT_WHILE_RECORDING("query") return OK; }
Result cuEventElapsedTime(float *ms, Handle a, Handle b) { *ms = 0.5f; return OK; }

// graphs
Result cuStreamBeginCapture(Handle q, int mode) {
  if (setting("PAPER_NO_GRAPHS", 0)) return NOT_SUPPORTED;
  say("record on %p", q);
  capturing = 1, spoilt = 0;
  return OK;
}
Result cuStreamEndCapture(Handle q, Handle *g) {
  capturing = 0;
  *g = spoilt ? 0 : GRAPH;
  return spoilt ? INVALID_CAPTURE : OK;
}
Result cuGraphInstantiateWithFlags(Handle *x, Handle g, Pointer f) { *x = RECORDED; return OK; }
Result cuGraphDestroy(Handle g) { return OK; }
Result cuGraphExecDestroy(Handle x) { return OK; }
Result cuGraphLaunch(Handle x, Handle q) {
  NOT_WHILE_RECORDING("replay") say("replay on %p", q); return OK; }

// kernels
typedef struct { char name[64]; int loaded; } Kernel;
typedef struct { unsigned grid[3], block[3], shared; Handle stream, more; unsigned count; } Launch;
Result cuLibraryLoadData(Handle *l, Handle code, Handle a, Handle b, unsigned c, Handle d,
                         Handle e, unsigned f) {
  NOT_WHILE_RECORDING("load")
  *l = fresh();
  return setting("PAPER_LOAD", OK);
}
Result cuLibraryUnload(Handle l) { return OK; }
Result cuLibraryGetKernel(Handle *k, Handle l, const char *name) {
  Kernel *kernel = calloc(1, sizeof(Kernel));
  const char *plain = strstr(name, "gg_");  // then a hash, the length of the name, the name, B…
  if (plain) name = plain + 35 + strspn(plain + 35, "0123456789");
  snprintf(kernel->name, sizeof kernel->name, "%.*s", (int)strcspn(name, "B"), name);
  *k = kernel;
  return OK;
}
Result cuKernelGetFunction(Handle *f, Handle k) { *f = k; return OK; }
Result cuKernelGetAttribute(int *v, int a, Handle k, int d) { *v = 32; return OK; }
Result cuLaunchKernelEx(Launch *launch, Handle k, void **arguments, void **more) {
  Kernel *kernel = k;
  if (capturing && !kernel->loaded) say("ILLEGAL first launch"), spoilt = 1;
  kernel->loaded = 1;
  say("launch %s blocks %u on %p", kernel->name, launch->grid[0], launch->stream);
  return OK;
}

// how the bindings find all this
Result cuGetProcAddress_v2(const char *name, Handle *f, int version, uint64_t flags, int *found) {
  Dl_info mine;
  dladdr(cuGetProcAddress_v2, &mine);
  *f = dlsym(dlopen(mine.dli_fname, RTLD_NOLOAD | RTLD_LAZY), name);
  if (found) *found = *f ? 0 : 1;
  return *f ? OK : NOT_FOUND;
}
