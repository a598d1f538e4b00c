/*  form - texts as addresses and HTML's forms have them. The contract is in form.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "form.h"

#include "table.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 8 };

//  The value of a hexadecimal digit, or -1.
static int
s_digit (char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char) (c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void
form_decode (char *text, int plus)
{
    char *to = text;
    for (; *text; text++) {
        int high = *text == '%' ? s_digit (text[1]) : -1;
        int low = high >= 0 ? s_digit (text[2]) : -1;
        if (low >= 0 && high + low > 0) {
            *to++ = (char) (high * 16 + low);
            text += 2;
        }
        else
            *to++ = plus && *text == '+' ? ' ' : *text;
    }
    *to = 0;
}

void
form_each (char *text, form_fn *each, void *argument)
{
    while (text) {
        char *pair = strsep (&text, "&"), *name = strsep (&pair, "=");
        form_decode (name, 1);
        if (pair)
            form_decode (pair, 1);
        if (*name)
            each (argument, name, pair ? pair : "");
    }
}

//  --------------------------------------------------------------------------
//  The tree. Members of an object are found by a table, since cJSON walks through
//  all of them, and a client chooses how many there are.

typedef struct {
    cJSON *node;  //  or NULL: the form is bad
    table_t members;
} tree_t;

typedef struct {
    const cJSON *parent;
    cJSON *node;
} member_t;

static int
member_same (const void *item, const void *key)
{
    const member_t *member = (const member_t *) item;
    const member_t *wanted = (const member_t *) key;
    return member->parent == wanted->parent
           && strcmp (member->node->string, wanted->node->string) == 0;
}

//  The member of that name, or NULL.
static cJSON *
tree_find (const tree_t *self, const cJSON *parent, const char *name,
           uint64_t *hash)
{
    cJSON named = {.string = (char *) (uintptr_t) name};
    member_t wanted = {parent, &named};
    const member_t *found;
    *hash = table_hash ((uint64_t) (uintptr_t) parent, name, strlen (name));
    found = (const member_t *) table_find (&self->members, *hash, member_same,
                                           &wanted);
    return found ? found->node : NULL;
}

//  Puts a node into its parent, which owns it from now on. Returns it.
static cJSON *
tree_put (tree_t *self, cJSON *parent, const char *name, cJSON *node,
          uint64_t hash)
{
    member_t *member;
    assert (node);
    if (cJSON_IsArray (parent)) {
        cJSON_AddItemToArray (parent, node);
        return node;
    }
    cJSON_AddItemToObject (parent, name, node);
    member = (member_t *) malloc (sizeof *member);
    assert (member);
    *member = (member_t){parent, node};
    table_put (&self->members, hash, member);
    return node;
}

//  Takes the first label off a name: NAME, then [LABEL]... Returns it, or NULL if
//  that is none.
static char *
s_label (char **rest, bool first)
{
    char *label = *rest, *end;
    if (first) {
        end = strchr (label, '[');
        *rest = end ? end + 1 : NULL;
        if (end)
            *end = 0;
        return *label ? label : NULL;
    }
    end = strchr (label, ']');
    if (!end || (end[1] && end[1] != '['))
        return NULL;
    *rest = end[1] ? end + 2 : NULL;
    *end = 0;
    return label;
}

//  Adds a value behind those that the name has already.
static void
s_repeat (cJSON *node, const char *value)
{
    if (cJSON_IsString (node)) {
        cJSON *first = cJSON_CreateString (node->valuestring);
        cJSON_free (node->valuestring);
        node->valuestring = NULL;
        node->type = cJSON_Array;
        cJSON_AddItemToArray (node, first);
    }
    cJSON_AddItemToArray (node, cJSON_CreateString (value));
}

//  Goes one label down. Returns the node there, or NULL if the form is bad.
static cJSON *
tree_step (tree_t *self, cJSON *parent, const char *label, const char *rest,
           const char *value)
{
    uint64_t hash = 0;
    cJSON *node = NULL, *made;
    if (cJSON_IsObject (parent))
        node = tree_find (self, parent, label, &hash);
    else if (!cJSON_IsArray (parent))
        return NULL;
    if (node && rest)
        return node;
    if (node && cJSON_IsObject (node))
        return NULL;
    if (node) {
        s_repeat (node, value);
        return node;
    }
    made = !rest          ? cJSON_CreateString (value)
           : *rest == ']' ? cJSON_CreateArray ()
                          : cJSON_CreateObject ();
    return tree_put (self, parent, label, made, hash);
}

//  Handler for form_each.
static void
tree_add (void *argument, const char *name, const char *value)
{
    tree_t *self = (tree_t *) argument;
    cJSON *parent = self->node;
    char *rest = (char *) (uintptr_t) name;
    for (int depth = 0; parent && rest; depth++) {
        char *label = s_label (&rest, depth == 0);
        parent = label && depth < DEPTH_MAX
                   ? tree_step (self, parent, label, rest, value)
                   : NULL;
    }
    if (!parent) {
        cJSON_Delete (self->node);
        self->node = NULL;
    }
}

//  Makes an array of each object whose names are 0, 1 ... in this order.
static void
s_arrays (cJSON *node)
{
    char number[24];
    int count = 0;
    bool counted = cJSON_IsObject (node) && node->child;
    for (cJSON *child = node->child; child; child = child->next) {
        snprintf (number, sizeof number, "%d", count++);
        counted = counted && strcmp (child->string, number) == 0;
        s_arrays (child);
    }
    if (counted)
        node->type = cJSON_Array;
}

cJSON *
form_tree (char *text)
{
    tree_t self = {.node = cJSON_CreateObject (),
                   .members = {.free_item = free}};
    assert (self.node);
    form_each (text, tree_add, &self);
    table_clear (&self.members);
    if (self.node)
        s_arrays (self.node);
    return self.node;
}
