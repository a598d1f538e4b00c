//  client.js URL TOKEN - measures by librato-node, as an application would, and says
//  what it has done
//
//  Two flushes: counters of this client are running totals, and what it measures more
//  than once between two flushes has count, sum, min, max and sum_squares.
//
//  SPDX-License-Identifier: BSD-3-Clause

'use strict';

const librato = require (process.argv[4] + '/node_modules/librato-node');

librato.configure ({
    email: 'user@example.org', token: process.argv[3], source: 'node',
    requestOptions: {uri: process.argv[2] + '/v1/metrics'}
});
librato.on ('error', (error) => {
    console.error (error.message);
    process.exitCode = 1;
});

librato.increment ('visits', 3);
librato.measure ('size', 5);
librato.measure ('size', 7);
librato.measure ('once', 0.25, {source: 'other'});
librato.flush (() => {
    librato.increment ('visits');
    librato.measure ('size', 1);
    setTimeout (() => librato.flush (() => console.log ('done')), 1100);
});
