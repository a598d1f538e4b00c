/*  hosts.c - to be loaded before a program: there is one more host

    Where moving.test is, as an address, is in the file that ZB_HOSTS names. As
    long as there is no such file, there is no such host.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define _GNU_SOURCE  //  RTLD_NEXT

#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
getaddrinfo (const char *node, const char *service,
             const struct addrinfo *hints, struct addrinfo **found)
{
    int (*real) (const char *, const char *, const struct addrinfo *,
                 struct addrinfo **);
    const char *path = getenv ("ZB_HOSTS");
    char address[64] = "";
    FILE *file;
    *(void **) &real = dlsym (RTLD_NEXT, "getaddrinfo");
    if (!node || !path || strcmp (node, "moving.test") != 0)
        return real (node, service, hints, found);
    file = fopen (path, "r");
    if (file && !fgets (address, sizeof address, file))
        *address = 0;
    if (file)
        fclose (file);
    return *address ? real (address, service, hints, found) : EAI_NONAME;
}
