/* The least that the OpenXR loader takes for a runtime: it gives its name, its version and two extensions.
 * Layouts after the OpenXR specification and the loader's "Runtime Interface Negotiation". */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef void (*Function)(void);
typedef struct { int type; void *next; char name[128]; uint32_t version; } ExtensionProperties;
typedef struct { int type; void *next; uint64_t version; char name[128]; } InstanceProperties;
typedef struct {
    int structType; uint32_t structVersion; size_t structSize;
    uint32_t minInterfaceVersion, maxInterfaceVersion; uint64_t minApiVersion, maxApiVersion;
} LoaderInfo;
typedef struct {
    int structType; uint32_t structVersion; size_t structSize;
    uint32_t runtimeInterfaceVersion; uint64_t runtimeApiVersion; int (*getInstanceProcAddr)(uint64_t, const char *, Function *);
} RuntimeRequest;

enum { SUCCESS = 0, FUNCTION_UNSUPPORTED = -7 };
static const char *extensions[] = {"XR_MND_headless", "XR_KHR_opengl_enable"};

static int enumerate_extensions(const char *layer, uint32_t capacity, uint32_t *count, ExtensionProperties *out) {
    (void)layer;
    *count = 2;
    for (uint32_t i = 0; i < capacity && i < 2; i++) {
        strcpy(out[i].name, extensions[i]);
        out[i].version = 1;
    }
    return SUCCESS;
}

static int create_instance(const void *info, uint64_t *instance) {
    (void)info;
    *instance = 42;
    return SUCCESS;
}

static int destroy_instance(uint64_t instance) {
    (void)instance;
    return SUCCESS;
}

static int get_properties(uint64_t instance, InstanceProperties *out) {
    (void)instance;
    out->version = ((uint64_t)7 << 48) | ((uint64_t)8 << 32) | 9;
    strcpy(out->name, "Stand-in");
    return SUCCESS;
}

static int get_address(uint64_t instance, const char *name, Function *out) {
    (void)instance;
    *out = NULL;
    if (!strcmp(name, "xrGetInstanceProcAddr")) *out = (Function)get_address;
    if (!strcmp(name, "xrEnumerateInstanceExtensionProperties")) *out = (Function)enumerate_extensions;
    if (!strcmp(name, "xrCreateInstance")) *out = (Function)create_instance;
    if (!strcmp(name, "xrDestroyInstance")) *out = (Function)destroy_instance;
    if (!strcmp(name, "xrGetInstanceProperties")) *out = (Function)get_properties;
    return *out ? SUCCESS : FUNCTION_UNSUPPORTED;
}

int xrNegotiateLoaderRuntimeInterface(const LoaderInfo *loader, RuntimeRequest *request) {
    (void)loader;
    request->runtimeInterfaceVersion = 1;
    request->runtimeApiVersion = (uint64_t)1 << 48;
    request->getInstanceProcAddr = get_address;
    return SUCCESS;
}
