/*  peer.h - a publisher without ZeroMQ, whose bytes a test decides on

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef PEER_H
#define PEER_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

//  Connects, and says that it is one (ZMTP 3.0, mechanism NULL). Returns the
//  descriptor, which is the caller's.
static int
peer_new (int port)
{
    static const char said[] = "\xff\0\0\0\0\0\0\0\0\x7f\3\0NULL";
    static const char ready[] = "\4\31\5READY\13Socket-Type\0\0\0\3PUB";
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons ((uint16_t) port),
                                  .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    char greeting[64] = {0}, answer[64 + 9];
    int fd = socket (AF_INET, SOCK_STREAM, 0);
    memcpy (greeting, said, sizeof said);
    assert_int_equal (
      connect (fd, (struct sockaddr *) &address, sizeof address), 0);
    assert_int_equal (write (fd, greeting, sizeof greeting), sizeof greeting);
    assert_int_equal (write (fd, ready, sizeof ready - 1), sizeof ready - 1);
    assert_int_equal (recv (fd, answer, sizeof answer, MSG_WAITALL),
                      sizeof answer);
    return fd;
}

#endif
