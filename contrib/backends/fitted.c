/*  fitted - says which names became one. The contract is in fitted.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "fitted.h"
#include "zibrato_backend.h"

#include <czmq.h>

static zhash_t *s_originals;  //  what became a fitted text

//  Texts that stay as they are need no memory unless a changed one has come before
//  them.
void
fitted_tell (const char *fitted, const char *text, int is_source, int changed)
{
    char key[ZB_NAME_MAX + 16], told[ZB_NAME_MAX + 16];
    char kind = is_source ? 's' : 'n';
    const char *other;
    if (!s_originals) {
        s_originals = zhash_new ();
        zhash_autofree (s_originals);
    }
    if (zhash_size (s_originals) >= FITTED_MAX)
        return;
    snprintf (key, sizeof key, "%c %s", kind, fitted);
    snprintf (told, sizeof told, "%c told %s", kind, text);
    other = (const char *) zhash_lookup (s_originals, key);
    if (!other && changed)
        zhash_insert (s_originals, key, (void *) text);
    else if (other && strcmp (other, text) != 0
             && zhash_insert (s_originals, told, (void *) text) == 0)
        zb_log (LOG_WARNING, "collision",
                "text=\"%s\" other=\"%s\" sent_as=\"%s\"", text, other, fitted);
    if (zhash_size (s_originals) == FITTED_MAX)
        zb_log (LOG_WARNING, "collision",
                "effect=\"there are so many that no more are told\"");
}

void
fitted_forget (void)
{
    zhash_destroy (&s_originals);
}
