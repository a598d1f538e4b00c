/*  graphite_path - names and rows, as Graphite takes them

        web1.requests.code.200.value 5 1795423260
        requests.value;code=200;source=web1;worker=myhost_graphite 5 1795423260

    A line that carbon cannot read makes it close the connection, and all behind it
    is lost. So of names only letters, digits, '_' and '-' are left, and the dots
    that make nodes of them.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_GRAPHITE_PATH_H
#define ZB_GRAPHITE_PATH_H

#include "buffer.h"

#include "zibrato_backend.h"

//  How rows are called: with tags, or by a pattern.
typedef struct {
    int tagged;
    const char *pattern;           //  {worker}, {source} and {name} in it
    char worker[ZB_NAME_MAX + 1];  //  that fits
} graphite_path_t;

//  Returns NULL, or what is wrong with a pattern, a static text.
const char *graphite_path_check (const char *pattern);

//  What becomes of a name with its tags, or of a source (1). Without `tagged` tags
//  are nodes behind the name. Returns 1 if that is another text.
int graphite_path_fit (const char *text, int is_source, int tagged,
                       char fitted[ZB_NAME_MAX + 1]);

//  Appends a row, of a name and source that fit: a line for each of its values.
void graphite_path_add (buffer_t *text, const graphite_path_t *self,
                        const zb_row_t *row);

#endif
