/*  plugin - a backend from a shared object

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "modes.h"

#include "log.h"

#include <dlfcn.h>
#include <string.h>

const zb_backend_t *
plugin_load (const char *path)
{
    const zb_backend_t *(*backend) (void) = NULL;
    void *library = dlopen (path, RTLD_NOW | RTLD_LOCAL);
    void *symbol = library ? dlsym (library, "zibrato_backend") : NULL;
    if (!symbol)
        die ("--plugin %s", dlerror ());
    memcpy (&backend, &symbol, sizeof backend);
    if (backend ()->abi != ZB_BACKEND_ABI)
        die ("--plugin %s: made for another version: %d, expected %d", path,
             backend ()->abi, ZB_BACKEND_ABI);
    return backend ();
}
