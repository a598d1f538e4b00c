//  empty - what to do where nothing has been measured yet
//
//  SPDX-License-Identifier: BSD-3-Clause

import {copyable, el, fill, find} from "./dom.js";

//  Shown instead of list and charts, until there is a metric that is not one of
//  Zibrato itself.
export function showEmpty (isEmpty) {
    const place = find ("#empty");
    document.body.classList.toggle ("empty", isEmpty);
    if (!isEmpty || place.firstChild)
        return;
    fill (place,
        el ("h2", {}, "Nothing has been measured yet"),
        el ("p", {}, "A C program with ", el ("code", {}, "zibrato.h"),
            " shows up here as soon as it runs. If the broker is not at tcp://127.0.0.1:5550, ",
            el ("code", {}, "ZIBRATO_ENDPOINT"), " in its environment says where:"),
        copyable ("cc app.c -o app $(pkg-config --cflags --libs zibrato) && ./app"),
        el ("p", {}, "Whatever speaks to Librato does with this address, and with a token of ",
            el ("code", {}, "zibrato serve --data FOLDER --token-new NAME --role recorder"), ":"),
        copyable (`curl -u token:$TOKEN -d 'gauges[0][name]=hello' \\\n`
                 + `     -d 'gauges[0][value]=42' ${new URL ("v1/metrics", location)}`),
        el ("p", {class: "muted"}, "This page looks once a second. The metrics that are counted "
            + "above are Zibrato's own."));
}
