/*  collectd - what its plugin write_http sends: an array of value lists in JSON

    Its host was collectd.librato.com, whose names are those of the plugin
    collectd-librato: collectd.PLUGIN[.INSTANCE].TYPE[.INSTANCE][.DATA SOURCE], the last
    if there are several, and the host is the source.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_COLLECTD_H
#define ZB_COLLECTD_H

#include "post.h"

//  Adds rows for all values. What is no number (a rate that is not known yet is null)
//  is left out.
void collectd_read (post_t *post, const cJSON *array);

#endif
