/*  label - names of metrics and sources, as the Librato API takes them

    Only [A-Za-z0-9.:_-], 1 to 255 bytes, and not the reserved source "all".

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_LABEL_H
#define ZB_LABEL_H

#include "zibrato_backend.h"

enum { LABEL_MAX = 255 };

//  Writes what becomes of a text. Returns 1 if it had to be changed.
int label_clean (char *clean, const char *text, int is_source);

//  The same, with tags folded into the name, and says, once, that two names or two
//  sources have become one: zb_backend_t's fit.
int label_fit (const char *text, int is_source, char fitted[ZB_NAME_MAX + 1]);

//  The same of a name whose tags stay tags, as POST /v1/measurements takes them:
//  their keys have 1 to 64 bytes, their values may have '?', '\\', '/' and blanks,
//  too, and capitals become small letters, as they do at the service. A tag
//  "source" becomes "_source", since a measurement's source is sent as that.
int label_fit_tagged (const char *text, char fitted[ZB_NAME_MAX + 1]);

#endif
