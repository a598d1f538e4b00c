/*  server.h - what a unit test of the server begins with: unit.h

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "../unit.h"
