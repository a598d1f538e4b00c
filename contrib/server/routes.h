/*  routes - which handler a path has: a tree, a level for each part of the path

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_ROUTES_H
#define ZB_ROUTES_H

#include "web.h"

typedef struct routes routes_t;

//  Caller owns the return value.
routes_t *routes_new (void);

//  The table must stay, and ends with a null method.
void routes_add (routes_t *self, const route_t *table);

void routes_destroy (routes_t **self_p);

//  Returns the route, or NULL. Parts of the path that stand for :name are decoded,
//  and pointed to by captured; the path is written over. A literal part goes before a
//  :name. HEAD has the route of GET. *allow says which methods the path has, or is
//  NULL if there is no such path.
const route_t *
routes_find (const routes_t *self, const char *method, char *path,
             const char *captured[WEB_CAPTURES], const char **allow);

#endif
