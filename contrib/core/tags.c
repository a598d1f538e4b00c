/*  tags - what stands behind a name. The contract is in tags.h, the format in
    zibrato.h, section 3.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "tags.h"

#include <string.h>

static int
s_is_letter (char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

//  [A-Za-z_][A-Za-z0-9_.-]*
static int
s_key_ok (span_t key)
{
    size_t i;
    if (!key.size || !s_is_letter (*key.text))
        return 0;
    for (i = 1; i < key.size; i++)
        if (!s_is_letter (key.text[i]) && key.text[i] != '.'
            && key.text[i] != '-'
            && !(key.text[i] >= '0' && key.text[i] <= '9'))
            return 0;
    return 1;
}

//  What may stand in a name, and is no ';', may stand in a value.
static int
s_value_ok (span_t value)
{
    size_t i;
    for (i = 0; i < value.size; i++)
        if ((unsigned char) value.text[i] < 0x20 || value.text[i] == 0x7f
            || value.text[i] == '|')
            return 0;
    return value.size > 0;
}

//  Is a key behind another one, by its bytes?
static int
s_ascends (span_t before, span_t key)
{
    size_t size = before.size < key.size ? before.size : key.size;
    int order = size ? memcmp (before.text, key.text, size) : -1;
    return order < 0 || (order == 0 && before.size < key.size);
}

int
tags_next (span_t *tags, tag_t *tag)
{
    const char *end, *equal;
    if (!tags->size)
        return 0;
    end = memchr (tags->text, ';', tags->size);
    tag->key.text = tags->text;
    tag->key.size = end ? (size_t) (end - tags->text) : tags->size;
    tags->text += tag->key.size + (end != NULL);
    tags->size -= tag->key.size + (end != NULL);
    equal = memchr (tag->key.text, '=', tag->key.size);
    tag->value.text = equal ? equal + 1 : tag->key.text + tag->key.size;
    tag->value.size =
      (size_t) (tag->key.text + tag->key.size - tag->value.text);
    tag->key.size -= tag->value.size + (equal != NULL);
    return 1;
}

size_t
tags_name_size (const char *name, size_t size)
{
    span_t tags;
    return tags_split (name, size, &tags).size;
}

span_t
tags_split (const char *name, size_t size, span_t *tags)
{
    const char *first = memchr (name, ';', size);
    span_t all = {name, size}, rest, before = {name, 0};
    tag_t tag;
    *tags = (span_t){name + size, 0};
    //  an empty last one has no byte that tags_next could see
    if (!first || first == name || name[size - 1] == ';')
        return all;
    all.size = (size_t) (first - name);
    rest = (span_t){first + 1, size - all.size - 1};
    *tags = rest;
    while (tags_next (&rest, &tag)) {
        if (!s_key_ok (tag.key) || !s_value_ok (tag.value)
            || !s_ascends (before, tag.key)) {
            *tags = (span_t){name + size, 0};
            return (span_t){name, size};
        }
        before = tag.key;
    }
    return all;
}
