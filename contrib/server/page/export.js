//  export - a chart as a picture, as CSV, and as what asks the server for it
//
//  SPDX-License-Identifier: BSD-3-Clause

import {address} from "./api.js";
import {copyable, el, fill, find} from "./dom.js";
import {moment} from "./format.js";
import {penOf} from "./plot.js";
import {shown} from "./range.js";
import {state} from "./state.js";
import {color} from "./theme.js";

//  Pixels of a picture: around it, of its title, and of a line that says what is what.
const MARGIN = 12, HEAD = 40, ROW = 22, MARK = 16, APART = 22;
const SMALL = "12px Inter, system-ui, sans-serif";
const LARGE = "600 15px Inter, system-ui, sans-serif";

function download (blob, name) {
    const link = el ("a", {href: URL.createObjectURL (blob), download: name});
    link.click ();
    setTimeout (() => URL.revokeObjectURL (link.href), 10000);
}

const fileName = (chart, ending) =>
    `${chart.settings.name.replace (/[^\w.-]+/g, "_")}.${ending}`;

//  Where the names of lines stand below the plot: [index, x, row], as many in a row as
//  there is room for.
function placeNames (context, chart, width) {
    const found = [];
    let x = MARGIN, row = 0;
    context.font = SMALL;
    chart.model.lines.forEach (({label}, i) => {
        if (chart.hidden.has (label))
            return;
        const size = MARK + 6 + context.measureText (label).width;
        if (x > MARGIN && x + size > width - MARGIN)
            [x, row] = [MARGIN, row + 1];
        found.push ([i, x, row]);
        x += size + APART;
    });
    return found;
}

function drawNames (context, chart, names, top) {
    context.textAlign = "left";
    context.lineWidth = 3;
    for (const [i, x, row] of names) {
        const {dash, stroke} = penOf (chart.model, i), y = top + row * ROW + ROW / 2;
        context.strokeStyle = stroke;
        context.setLineDash (dash ?? []);
        context.beginPath ();
        context.moveTo (x, y);
        context.lineTo (x + MARK, y);
        context.stroke ();
        context.fillText (chart.model.lines[i].label, x + MARK + 6, y + 4);
    }
}

//  What each point is, as below the plot.
function drawAbout (context, chart, top) {
    context.fillStyle = color ("muted");
    context.setLineDash ([]);
    context.fillText (chart.about.textContent, MARGIN, top + ROW / 2 + 4);
}

function drawTitle (context, chart, width) {
    const [from, to] = shown ();
    context.fillStyle = color ("text");
    context.font = LARGE;
    context.fillText (chart.settings.name, MARGIN, 25);
    context.font = SMALL;
    context.fillStyle = color ("muted");
    context.textAlign = "right";
    context.fillText (`${moment (from, state.utc)} – ${moment (to, state.utc)}`,
                      width - MARGIN, 25);
}

//  The plot with its name and time above it, and below it the names of its lines and what
//  its points are; on the page's own ground.
function picture (chart) {
    const source = chart.plot.ctx.canvas, scale = window.devicePixelRatio;
    const width = source.width / scale + 2 * MARGIN, height = source.height / scale;
    const canvas = el ("canvas"), context = canvas.getContext ("2d");
    const names = placeNames (context, chart, width);
    canvas.width = width * scale;
    const below = HEAD + height + ((names.at (-1)?.[2] ?? -1) + 1) * ROW;
    canvas.height = (below + ROW + MARGIN) * scale;
    context.fillStyle = color ("panel");
    context.fillRect (0, 0, canvas.width, canvas.height);
    context.drawImage (source, MARGIN * scale, HEAD * scale);
    context.scale (scale, scale);
    drawTitle (context, chart, width);
    drawNames (context, chart, names, HEAD + height);
    drawAbout (context, chart, below);
    return canvas;
}

function savePicture (chart) {
    picture (chart).toBlob ((blob) => download (blob, fileName (chart, "png")));
}

const csvAddress = (chart) => address ("api/points", {...chart.query (), format: "csv"});

//  What a shell needs to ask the same.
function showCommand (chart) {
    const url = new URL (address ("api/points", chart.query ()), location);
    const quoted = String (url).replaceAll ("'", "%27");
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
