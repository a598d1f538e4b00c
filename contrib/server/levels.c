/*  levels - what is kept. The contract is in levels.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "levels.h"

const level_t levels[LEVELS] = {
  {1, HOUR_S, 0},
  {60, HOUR_S, 0},
  {900, 24 * HOUR_S, 2},
  {3600, 96 * HOUR_S, 2},
};
