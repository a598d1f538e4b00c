/*  access - who asks, and may this request be?

    A client of Librato's API sends credentials with each request: Basic, with the
    token as password or, before a ':', as user; or Bearer. The page has a cookie.

    What a browser sends by itself proves nothing about who made it send that. So a
    request without credentials of its own must come to a name that is ours (or a page
    elsewhere could give its own name our address), and one that changes something must
    come from a page of ours, in JSON, which a form cannot send. A browser also sends
    credentials that it has kept, so what says that it comes from another page changes
    nothing either.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_ACCESS_H
#define ZB_ACCESS_H

#include "httpd.h"
#include "public.h"
#include "tokens.h"

typedef struct {
    tokens_t *tokens;
    zb_list_t names;  //  by which the server may be asked, beside numbers
    public_t by_proxy;
    bool tls;
    char cookie[24];  //  its name
} access_t;

typedef struct {
    role_t role;
    bool by_cookie;
    bool credentials;  //  there were some, good or not
} caller_t;

//  With tokens, names, by_proxy and tls in place.
void access_begin (access_t *self);

caller_t access_caller (access_t *self, const httpd_request_t *request);

//  Is the name in the header Host one of ours?
bool access_host_is_ours (const access_t *self, const httpd_request_t *request);

//  Does the page itself send this, in JSON?
bool access_is_from_page (const access_t *self, const httpd_request_t *request);

//  May it change something? A browser says in Origin whose page makes it send that.
bool access_may_write (const access_t *self, const httpd_request_t *request,
                       const caller_t *caller);

//  Does a browser ask for the page? Then a dialog for credentials would be in the way.
bool access_is_page (const access_t *self, const httpd_request_t *request);

//  Is it addressed to --public-url, as its header Host or its path says? A proxy may
//  leave both as they are.
bool
access_by_public_url (const access_t *self, const httpd_request_t *request);

//  Does it come from the page at the address of --public-url?
bool access_is_by_proxy (const access_t *self, const httpd_request_t *request);

//  Writes the header Set-Cookie of a session, or of its end if that is "": for the
//  address of --public-url, or for the one where we listen.
void access_cookie (const access_t *self, bool by_proxy, const char *session,
                    char *text, size_t size);

#endif
