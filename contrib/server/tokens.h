/*  tokens - who may use the server, and sessions of the page

    A token is 256 random bits in hexadecimal. The file `tokens` in the server's folder
    has a line for each, with the hash of it only:

        NAME ROLE SHA256 SINCE

    It is read again when it has changed, so `zibrato serve --token-new` and
    `--token-end` hold at once. All functions may be called by any thread.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_TOKENS_H
#define ZB_TOKENS_H

#include "web.h"

enum {
    TOKEN_SIZE = 65,      //  of a token, terminated
    TOKEN_NAME_MAX = 64,  //  bytes of its name: letters, digits, '_' and '-'
    SESSION_SIZE = 256,   //  of a session's cookie, terminated
    SESSION_S = 30 * 24 * 3600
};

typedef struct tokens tokens_t;

//  Functions that return a text return NULL, or what is wrong, a static text.

//  Opens those of a folder. If there are none yet, makes one of an admin and leaves it
//  in the file `admin-token` there. Caller owns *self_p.
const char *tokens_open (tokens_t **self_p, const char *folder);

void tokens_close (tokens_t **self_p);

//  Writes what tells this server's sessions from another's, eight digits: browsers share
//  cookies among all ports of a host.
void tokens_id (const tokens_t *self, char id[9]);

//  The role of a token, ROLE_NOBODY if it is none.
role_t tokens_role (tokens_t *self, const char *token);

//  A session of somebody with this token, "" if it is none. NULL: of who has come by the
//  link, with the first token of an admin; "" if there is none.
void
tokens_session (tokens_t *self, const char *token, char session[SESSION_SIZE]);

//  The role of a session. It ends with its token.
role_t tokens_session_role (tokens_t *self, const char *session);

//  The link that opens the page without a token: a key that holds once. It is in the
//  file `link` of the folder, behind the address, such as http://127.0.0.1:5580.
void tokens_link_begin (tokens_t *self, const char *address);

//  Is it the key? Then there is another one from now on.
bool tokens_link_used (tokens_t *self, const char *key);

//  --------------------------------------------------------------------------
//  Changes of the file

const char *tokens_new (const char *folder, const char *name, const char *role,
                        char token[TOKEN_SIZE]);

const char *tokens_end (const char *folder, const char *name);

typedef void
token_fn (void *argument, const char *name, const char *role, int64_t since_s);

//  Calls for each, in the order in which they were made.
const char *tokens_list (const char *folder, token_fn *each, void *argument);

#endif
