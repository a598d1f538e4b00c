//  export - a chart as a picture, as CSV, and as what asks the server for it
//
//  SPDX-License-Identifier: BSD-3-Clause

import {address} from "./api.js";
import {copyable, el, fill, find} from "./dom.js";
import {moment} from "./format.js";
import {shown} from "./range.js";
import {state} from "./state.js";
import {color} from "./theme.js";

const HEAD = 40, MARGIN = 12;

function download (blob, name) {
    const link = el ("a", {href: URL.createObjectURL (blob), download: name});
    link.click ();
    setTimeout (() => URL.revokeObjectURL (link.href), 10000);
}

const fileName = (chart, ending) =>
    `${chart.settings.name.replace (/[^\w.-]+/g, "_")}.${ending}`;

//  The plot with its name and time above it, on the page's own ground.
export function picture (chart) {
    const source = chart.plot.ctx.canvas, scale = window.devicePixelRatio;
    const canvas = el ("canvas", {width: source.width + 2 * MARGIN * scale,
                                  height: source.height + (HEAD + MARGIN) * scale});
    const context = canvas.getContext ("2d"), [from, to] = shown ();
    context.fillStyle = color ("panel");
    context.fillRect (0, 0, canvas.width, canvas.height);
    context.drawImage (source, MARGIN * scale, HEAD * scale);
    context.scale (scale, scale);
    context.fillStyle = color ("text");
    context.font = "600 15px Inter, system-ui, sans-serif";
    context.fillText (chart.settings.name, MARGIN, 25);
    const right = canvas.width / scale - MARGIN;
    context.font = "12px Inter, system-ui, sans-serif";
    context.fillStyle = color ("muted");
    context.textAlign = "right";
    context.fillText (`${moment (from, state.utc)} – ${moment (to, state.utc)}`, right, 25);
    return canvas;
}

function savePicture (chart) {
    picture (chart).toBlob ((blob) => download (blob, fileName (chart, "png")));
}

const csvAddress = (chart) => address ("api/points", {...chart.query (), format: "csv"});

//  What a shell needs to ask the same.
function showCommand (chart) {
    const from = new URL (address ("api/points", chart.query ()), location);
    const quoted = String (from).replaceAll ("'", "%27");
    const text = `curl -H "Authorization: Bearer $ZIBRATO_TOKEN" '${quoted}'`;
    const dialog = find ("#command");
    fill (dialog.querySelector (".place"), copyable (text));
    dialog.showModal ();
}

export function exportMenu (chart) {
    return el ("details", {class: "menu"},
        el ("summary", {title: "export", "aria-label": "export"}, "⤓"),
        el ("div", {class: "items"},
            el ("button", {type: "button", onclick: () => savePicture (chart)}, "PNG"),
            el ("a", {href: csvAddress (chart), download: fileName (chart, "csv"),
                      onclick: (event) => { event.target.href = csvAddress (chart); }},
                "CSV"),
            el ("button", {type: "button", onclick: () => showCommand (chart)},
                "JSON (curl)")));
}
