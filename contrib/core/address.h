/*  address - where a broker is, from --host and --port

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_ADDRESS_H
#define ZB_ADDRESS_H

#include <netdb.h>
#include <stddef.h>

enum { ADDRESS_MAX = NI_MAXHOST + 16 };

//  The endpoint to connect to: ZeroMQ looks the host up whenever it connects. An
//  IPv6 address may have brackets, and gets them.
void address_endpoint (char *endpoint, size_t size, const char *host, int port);

//  The host as a numeric address, to listen at. An IPv6 address may have
//  brackets, and gets them. Returns NULL, or why there is none.
const char *address_resolve (char *address, size_t size, const char *host);

#endif
