//  empty - what to do where nothing has been measured yet
//
//  SPDX-License-Identifier: BSD-3-Clause

import {el, fill, find} from "./dom.js";

function command (text) {
    return el ("div", {class: "command"}, el ("pre", {}, text),
               el ("button", {type: "button", class: "copy",
                              onclick: () => navigator.clipboard?.writeText (text)}, "copy"));
}

//  Shown instead of list and charts, until there is a metric that is not one of
//  Zibrato itself.
export function showEmpty (empty) {
    const place = find ("#empty");
    document.body.classList.toggle ("empty", empty);
    if (!empty || place.firstChild)
        return;
    fill (place,
        el ("h2", {}, "Nothing has been measured yet"),
        el ("p", {}, "A C program with ", el ("code", {}, "zibrato.h"),
            " shows up here as soon as it runs:"),
        command ("cc app.c -o app $(pkg-config --cflags --libs zibrato) && ./app"),
        el ("p", {}, "Whatever speaks to Librato does with this address, and with a token of ",
            el ("code", {}, "zibrato serve --token-new NAME --role recorder"), ":"),
        command (`curl -u token:$TOKEN -d 'gauges[0][name]=hello' \\\n`
                 + `     -d 'gauges[0][value]=42' ${location.origin}/v1/metrics`),
        el ("p", {class: "muted"}, "This page looks once a second."));
}
