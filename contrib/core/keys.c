/*  keys - a folder of certificates. The contract is in keys.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "keys.h"

#include "zibrato_backend.h"

#include "certificate.h"

#include <dirent.h>
#include <sys/stat.h>

int
keys_roles (zhashx_t *self, const char *key)
{
    return (int) (intptr_t) zhashx_lookup (self, key);
}

//  A file of a folder. Secret halves need not be there, and add nothing.
static void
s_file_read (zhashx_t *self, const char *dir, const char *name, int roles)
{
    char path[PATH_MAX], key[CERTIFICATE_KEY], secret_key[CERTIFICATE_KEY];
    size_t size = strlen (name);
    struct stat status;
    if (*name == '.' || (size >= 7 && streq (name + size - 7, "_secret"))
        || snprintf (path, sizeof path, "%s/%s", dir, name)
             >= (int) sizeof path)
        return;
    if (stat (path, &status) == 0 && !S_ISREG (status.st_mode))
        return;
    if (certificate_read (path, key, secret_key) == 0)
        zhashx_update (self, key,
                       (void *) (intptr_t) (roles | keys_roles (self, key)));
    else
        zb_log (LOG_WARNING, "unreadable", "file=\"%s\" reason=\"%s\"", path,
                errno == EINVAL ? "no CURVE certificate" : strerror (errno));
    explicit_bzero (secret_key, sizeof secret_key);
}

//  Returns 0, or -1, errno set, if there is no such folder.
static int
s_folder_read (zhashx_t *self, const char *dir, int roles)
{
    DIR *folder = opendir (dir);
    const struct dirent *entry;
    if (!folder)
        return -1;
    while ((entry = readdir (folder)))
        s_file_read (self, dir, entry->d_name, roles);
    closedir (folder);
    return 0;
}

zhashx_t *
keys_read (const char *dir)
{
    static const struct {
        const char *name;
        int role;
    } folders[] = {{"programs", KEYS_PROGRAM}, {"workers", KEYS_WORKER}};
    zhashx_t *self = zhashx_new ();
    char path[PATH_MAX];
    size_t i;
    int rc = s_folder_read (self, dir, KEYS_PROGRAM | KEYS_WORKER);
    //  one that is not there lists nobody; one that cannot be read must not
    //  look as if it were not there
    for (i = 0; i < 2 && rc == 0; i++) {
        snprintf (path, sizeof path, "%s/%s", dir, folders[i].name);
        rc = s_folder_read (self, path, folders[i].role);
        if (rc == -1 && errno == ENOENT)
            rc = 0;
    }
    if (rc == -1)
        zhashx_destroy (&self);
    return self;
}
