/*  fuzz_form.c - forms, addresses, and the paths of requests

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  fuzz: -max_len=4096

#include "fuzz.h"

//  What a reader and a series are is different in the server.
#define reader_t       store_reader_t
#define series_t       store_series_t
#define reader_new     store_reader_new
#define reader_destroy store_reader_destroy

#include "../../contrib/server/form.h"
#include "../../contrib/server/routes.h"

#include <cjson/cJSON.h>

//  All values are texts, and none is deeper than it may be.
static void
check_tree (const cJSON *node, int depth)
{
    CHECK (depth <= 10);
    CHECK (cJSON_IsObject (node) || cJSON_IsArray (node)
           || cJSON_IsString (node));
    for (const cJSON *child = node->child; child; child = child->next) {
        CHECK (!cJSON_IsObject (node) || child->string);
        check_tree (child, depth + 1);
    }
}

static void
s_tree (const char *text)
{
    char *copy = strdup (text);
    cJSON *tree = form_tree (copy);
    if (tree) {
        char *printed = cJSON_PrintUnformatted (tree);
        check_tree (tree, 0);
        CHECK (printed);
        free (printed);
    }
    cJSON_Delete (tree);
    free (copy);
}

static void
s_handler (web_request_t *request)
{
    (void) request;
}

//  What is captured lies in the path, and is not empty.
static void
s_path (const char *text)
{
    static const route_t table[] = {
      {"GET", "/a", ROLE_NOBODY, false, s_handler},
      {"POST", "/a/:x", ROLE_NOBODY, false, s_handler},
      {"GET", "/a/:x/b/:y", ROLE_NOBODY, false, s_handler},
      {"GET", "/a/:x/:y/:z", ROLE_NOBODY, false, s_handler},
      {.method = NULL}};
    const char *captured[WEB_CAPTURES] = {NULL}, *allow;
    size_t size = strlen (text);
    char *path = strdup (text);
    routes_t *routes = routes_new ();
    routes_add (routes, table);
    if (routes_find (routes, "GET", path, captured, &allow)) {
        CHECK (allow && *text == '/');
        for (int i = 0; i < WEB_CAPTURES; i++)
            CHECK (!captured[i]
                   || (captured[i] > path && captured[i] < path + size
                       && *captured[i]));
    }
    routes_destroy (&routes);
    free (path);
}

static void
fuzz (const char *data, size_t size)
{
    char *text = strndup (data, size), *copy = strdup (text);
    s_tree (text);
    s_path (text);
    form_decode (copy, 1);
    CHECK (strlen (copy) <= strlen (text));
    free (copy);
    free (text);
}
