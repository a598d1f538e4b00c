/*  modes - those that are neither broker nor worker, a file each, and plug-ins

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_MODES_H
#define ZB_MODES_H

#include "options.h"

extern const zb_mode_t zb_keygen_mode, zb_replay_mode, zb_up_mode;

//  The backend of a shared object, for `zibrato worker --plugin`. Ends the program
//  if it is none, or one for another version.
const zb_backend_t *plugin_load (const char *path);

#endif
