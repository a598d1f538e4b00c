//  legend - a table below a chart: what each line is, and its numbers
//
//  SPDX-License-Identifier: BSD-3-Clause

import {summary} from "./columns.js";
import {el, fill, say} from "./dom.js";
import {exact} from "./format.js";
import {color, lineColor} from "./theme.js";

const STYLES = ["solid", "dashed", "dotted"];   //  over a heat map, as plot.js draws them
const NUMBERS = ["last", "min", "mean", "max"];

//  What all series have in their names says nothing of any: "web1 region=eu" and
//  "web2 region=eu" are web1 and web2.
function commonWords (lines) {
    const [first, ...others] = lines.filter (({id}) => id).map (({label}) => label.split (" "));
    return !others.length ? []
        : first.filter ((word) => others.every ((words) => words.includes (word)));
}

//  A click shows that line alone, and another click all of them again; with Ctrl or
//  Shift it hides or shows the one.
export class Legend {
    constructor (onhidden) {
        this.element = el ("table", {class: "legend"});
        this.onhidden = onhidden;
        this.rows = [];
        this.element.addEventListener ("pointerover", ({target}) => this.hint (target));
    }

    show (model) {
        this.model = model;
        const total = model.lines.some ((line) => line.total) ? "total" : "count";
        const common = commonWords (model.lines);
        this.rows = model.lines.map ((line, i) => this.row (line, i, common));
        fill (this.element,
              el ("thead", {}, el ("tr", {},
                  el ("th", {scope: "col"}, common.join (" ") || "line"),
                  ["cursor", ...NUMBERS].map ((name) =>
                      el ("th", {scope: "col", "data-of": name}, name)),
                  el ("th", {scope: "col", "data-of": "total"}, total))),
              el ("tbody", {}, this.rows));
        this.update (model);
    }

    row (line, i, common) {
        const short = line.label.split (" ").filter ((word) => !common.includes (word));
        const mark = el ("span", {class: "mark"});
        mark.style.borderColor = this.model.heat ? color ("text") : lineColor (i);
        mark.style.borderStyle = this.model.heat ? STYLES[i] : "solid";
        return el ("tr", {"data-label": line.label},
                   el ("th", {scope: "row"},
                       el ("button", {type: "button", title: "Show this line alone",
                                      onclick: (event) => this.click (event, line.label)},
                           mark, el ("span", {class: "label", title: line.label},
                               line.id && short.length ? short.join (" ") : line.label))),
                   ["cursor", ...NUMBERS, "total"].map (
                       (name) => el ("td", {class: name})));
    }

    //  New numbers for the same lines.
    update (model) {
        this.model = model;
        model.lines.forEach ((line, i) => {
            const row = this.rows[i], told = summary (line);
            for (const name of NUMBERS)
                this.put (row, name, model.format (told[name]));
            this.put (row, "total", exact (told.total));
            row.classList.toggle ("off", model.hidden.has (line.label));
        });
        this.point (this.index);
    }

    put (row, name, text) {
        say (row.querySelector (`.${name}`), text);
    }

    //  What is under the cursor, by the index of its time.
    point (index) {
        this.index = index;
        this.rows.forEach ((row, i) => this.put (
            row, "cursor", index === null || index === undefined ? ""
                : this.model.format (this.model.lines[i]?.values[index])));
    }

    //  A number that the pointer is on, with all its digits.
    hint (cell) {
        const line = this.model?.lines[this.rows.indexOf (cell.parentElement)];
        if (!line || !NUMBERS.includes (cell.className))
            return;
        const value = summary (line)[cell.className];
        cell.title = value !== null && this.model.block.type === "timer" ? `${value} s`
            : exact (value);
    }

    click (event, label) {
        const {hidden, lines} = this.model;
        const others = lines.filter ((line) => line.label !== label);
        const alone = !hidden.has (label)
            && others.every ((line) => hidden.has (line.label));
        if (event.ctrlKey || event.shiftKey || event.metaKey) {
            if (!hidden.delete (label))
                hidden.add (label);
        } else {
            hidden.clear ();
            if (!alone)
                others.forEach ((line) => hidden.add (line.label));
        }
        this.onhidden ();
    }
}
