/*  page - what the page asks for

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "web.h"

const route_t page_routes[] = {{.method = NULL}};
