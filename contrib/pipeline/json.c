/*  json - a row as a JSON object, as backends send or print it. The contract
    is in zibrato_backend.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "utf8.h"

#include "zibrato_backend.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

//  A label may be any bytes; in JSON those that are no UTF-8 become '?'.
static void
s_add_text (cJSON *object, const char *name, const char *text)
{
    char *clean = strdup (text), *c = clean;
    while (clean && *c) {
        size_t size = utf8_size (c);
        if (!size)
            *c = '?';
        c += size ? size : 1;
    }
    cJSON_AddStringToObject (object, name, clean ? clean : "");
    free (clean);
}

//  The shortest of 15 or 17 digits that reads back the same. cJSON's own way
//  takes 15 for enough where they are not.
static void
s_print_any (char *digits, size_t size, double value)
{
    snprintf (digits, size, "%.15g", value);
    if (strtod (digits, NULL) != value)
        snprintf (digits, size, "%.17g", value);
}

//  The same of whole billionths, as durations are, which is faster: the quotient
//  is what a reader makes of them, and 15 digits are always enough. Returns -1
//  if it is none, or if there would be an exponent.
static int
s_print_billionths (char *digits, size_t size, double value)
{
    long long whole;
    int length;
    if (!(value >= 1e-4 && value < 1e6))
        return -1;
    whole = llrint (value * 1e9);
    if ((double) whole / 1e9 != value)
        return -1;
    length = snprintf (digits, size, "%lld.%09lld", whole / 1000000000,
                       whole % 1000000000);
    while (digits[length - 1] == '0')
        digits[--length] = 0;
    if (digits[length - 1] == '.')
        digits[length - 1] = 0;
    return 0;
}

//  Most numbers are whole, or whole billionths.
static void
s_print (char *digits, size_t size, double value)
{
    if (fabs (value) < 1e15 && value == trunc (value) && value != 0)
        snprintf (digits, size, "%lld", (long long) value);
    else if (s_print_billionths (digits, size, value) == -1)
        s_print_any (digits, size, value);
}

static void
s_add_number (cJSON *object, const char *name, double value)
{
    char digits[32];
    s_print (digits, sizeof digits, value);
    cJSON_AddRawToObject (object, name, digits);
}

size_t
zb_row_json (const zb_row_t *row, const char *time_name, char *text,
             size_t size)
{
    static const char *const types[] = {"", "counter", "timer", "gauge"};
    cJSON *object = cJSON_CreateObject ();
    int fits;
    s_add_number (object, time_name, (double) row->time);
    if (row->type)
        cJSON_AddStringToObject (object, "type", types[row->type]);
    s_add_text (object, "name", row->name);
    s_add_text (object, "source", row->source);
    if (row->count <= 1)
        s_add_number (object, "value", row->value);
    else {
        s_add_number (object, "count", (double) row->count);
        s_add_number (object, "sum", row->sum);
        s_add_number (object, "min", row->min);
        s_add_number (object, "max", row->max);
        s_add_number (object, "sum_squares", row->sum_squares);
    }
    fits = cJSON_PrintPreallocated (object, text, (int) size, 0);
    cJSON_Delete (object);
    return fits ? strlen (text) : 0;
}
