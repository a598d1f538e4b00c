/*  modes - those that are neither broker nor worker, a file each

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_MODES_H
#define ZB_MODES_H

#include "options.h"

extern const zb_mode_t zb_keygen_mode, zb_replay_mode;

#endif
