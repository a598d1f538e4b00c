/*  routes - which handler a path has. The contract is in routes.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "routes.h"

#include "form.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CHILDREN_STEP = 8, ALLOW_MAX = 48 };

static const char *const s_methods[] = {"GET", "POST", "PUT", "DELETE"};

enum { METHODS = sizeof s_methods / sizeof *s_methods };

//  A part of a path, behind those of its parents.
struct routes {
    char *label;       //  NULL: it is a :name
    routes_t **child;  //  by their labels, ascending
    size_t count;
    routes_t *captures;  //  the child that is a :name, or NULL
    const route_t *route[METHODS];
    char allow[ALLOW_MAX];  //  "" if no path ends here
};

static void *
s_new (size_t size)
{
    void *memory = calloc (1, size);
    assert (memory);
    return memory;
}

//  The number of a method, or METHODS. HEAD is a GET whose body is not sent.
static size_t
s_method (const char *method)
{
    size_t i;
    if (strcmp (method, "HEAD") == 0)
        return 0;
    for (i = 0; i < METHODS && strcmp (method, s_methods[i]) != 0; i++) {
    }
    return i;
}

//  The place of a label, or where it would be.
static size_t
routes_place (const routes_t *self, const char *label, bool *found)
{
    size_t low = 0, high = self->count;
    *found = false;
    while (low < high && !*found) {
        size_t middle = (low + high) / 2;
        int order = strcmp (label, self->child[middle]->label);
        *found = order == 0;
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return high;
}

//  The child of that label, made if it is not there.
static routes_t *
routes_child (routes_t *self, const char *label)
{
    bool found;
    size_t at = routes_place (self, label, &found);
    routes_t *child;
    if (found)
        return self->child[at];
    if (self->count % CHILDREN_STEP == 0) {
        self->child = (routes_t **) realloc (
          self->child, (self->count + CHILDREN_STEP) * sizeof *self->child);
        assert (self->child);
    }
    child = (routes_t *) s_new (sizeof *child);
    child->label = strdup (label);
    assert (child->label);
    memmove (self->child + at + 1, self->child + at,
             (self->count++ - at) * sizeof *self->child);
    return self->child[at] = child;
}

routes_t *
routes_new (void)
{
    return (routes_t *) s_new (sizeof (routes_t));
}

//  Says which methods a path has, as the header Allow does.
static void
routes_allow (routes_t *self)
{
    static const char *const names[METHODS] = {"GET, HEAD, ", "POST, ", "PUT, ",
                                               "DELETE, "};
    size_t used = 0;
    for (size_t i = 0; i < METHODS; i++)
        if (self->route[i]) {
            strcpy (self->allow + used, names[i]);
            used += strlen (names[i]);
        }
    strcpy (self->allow + used, "OPTIONS");
}

static void
routes_put (routes_t *self, const route_t *route)
{
    char *path = strdup (route->path + 1), *rest = path, *label;
    size_t method = s_method (route->method);
    assert (path && *route->path == '/' && method < METHODS);
    while ((label = strsep (&rest, "/"))) {
        if (*label != ':')
            self = routes_child (self, label);
        else {
            if (!self->captures)
                self->captures = routes_new ();
            self = self->captures;
        }
    }
    self->route[method] = route;
    routes_allow (self);
    free (path);
}

void
routes_add (routes_t *self, const route_t *table)
{
    for (; table->method; table++)
        routes_put (self, table);
}

void
routes_destroy (routes_t **self_p)
{
    routes_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        routes_destroy (&self->child[i]);
    routes_destroy (&self->captures);
    free (self->child);
    free (self->label);
    free (self);
    *self_p = NULL;
}

const route_t *
routes_find (const routes_t *self, const char *method, char *path,
             const char *captured[WEB_CAPTURES], const char **allow)
{
    size_t count = 0, at;
    char *label;
    bool found;
    *allow = NULL;
    if (*path != '/')
        return NULL;
    path++;
    while (self && (label = strsep (&path, "/"))) {
        form_decode (label, 0);
        at = routes_place (self, label, &found);
        if (!found && count < WEB_CAPTURES && self->captures && *label)
            captured[count++] = label;
        self = found ? self->child[at] : self->captures;
        if (self && !self->label && !*label)
            self = NULL;
    }
    if (!self || !*self->allow)
        return NULL;
    *allow = self->allow;
    at = s_method (method);
    return at < METHODS ? self->route[at] : NULL;
}
