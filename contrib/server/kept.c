/*  kept - what is kept. The contract is in kept.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "kept.h"

const kept_t kept[LEVELS] = {
  {1, HOUR_S, 0},
  {60, HOUR_S, 0},
  {900, 24 * HOUR_S, 2},
  {3600, 96 * HOUR_S, 2},
};
