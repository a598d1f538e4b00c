//  legend - a table below a chart: what each line is, and its numbers
//
//  SPDX-License-Identifier: BSD-3-Clause

import {el, fill, setText} from "./dom.js";
import {exact} from "./format.js";
import {summary} from "./lines.js";
import {penOf} from "./plot.js";

const NUMBERS = ["last", "min", "mean", "max"];

//  The words that all series have in their labels. They are said once, as the head of
//  the column: "web1 region=eu" and "web2 region=eu" are web1 and web2 of region=eu.
function commonWords (lines) {
    const [first, ...others] = lines.filter (({id}) => id).map (({label}) => label.split (" "));
    return !others.length ? []
        : first.filter ((word) => others.every ((words) => words.includes (word)));
}

export class Legend {
    //  `onhidden` is called when other lines are to be shown.
    constructor (onhidden) {
        this.element = el ("table", {class: "legend"});
        this.onhidden = onhidden;
        this.rows = [];
        this.index = null;      //  of the time under the cursor
        this.element.addEventListener ("pointerover", ({target}) => this.hint (target));
    }

    show (model) {
        const focused = this.element.querySelector ("button:focus")?.closest ("tr");
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
        if (focused)
            this.rows.find ((row) => row.dataset.label === focused.dataset.label)
                ?.querySelector ("button").focus ();
    }

    row (line, i, common) {
        const own = line.label.split (" ").filter ((word) => !common.includes (word));
        const mark = el ("span", {class: "mark"}), {stroke, style} = penOf (this.model, i);
        mark.style.borderColor = stroke;
        mark.style.borderStyle = style;
        return el ("tr", {"data-label": line.label},
                   el ("th", {scope: "row"},
                       el ("button", {type: "button", title: "Show this line alone",
                                      onclick: (event) => this.click (event, line.label)},
                           mark, el ("span", {class: "label", title: line.label},
                               line.id && own.length ? own.join (" ") : line.label))),
                   ["cursor", ...NUMBERS, "total"].map (
                       (name) => el ("td", {class: name})));
    }

    //  New numbers for the same lines.
    update (model) {
        this.model = model;
        model.lines.forEach ((line, i) => {
            const row = this.rows[i], numbers = summary (line);
            for (const name of NUMBERS)
                this.put (row, name, model.format (numbers[name]));
            this.put (row, "total", exact (numbers.total));
            row.classList.toggle ("off", model.hidden.has (line.label));
        });
        this.point (this.index);
    }

    put (row, name, text) {
        setText (row.querySelector (`.${name}`), text);
    }

    //  What is under the cursor, by the index of its time; null: nothing is.
    point (index) {
        this.index = index;
        this.rows.forEach ((row, i) => this.put (
            row, "cursor", (index ?? null) === null ? ""
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

    //  A click shows that line alone, and another click all of them again; with Ctrl or
    //  Shift it hides or shows the one.
    click (event, label) {
        const {hidden, lines} = this.model;
        const others = lines.filter ((line) => line.label !== label);
        const isAlone = !hidden.has (label)
            && others.every ((line) => hidden.has (line.label));
        if (event.ctrlKey || event.shiftKey || event.metaKey) {
            if (!hidden.delete (label))
                hidden.add (label);
        } else {
            hidden.clear ();
            if (!isAlone)
                others.forEach ((line) => hidden.add (line.label));
        }
        this.onhidden ();
    }
}
