//  model - all that it takes to draw a chart, of what it shows and what the server said
//
//  SPDX-License-Identifier: BSD-3-Clause

import {times} from "./block.js";
import {duration, number} from "./format.js";
import {lines} from "./lines.js";
import {notes} from "./notes.js";
import {cutOf} from "./peaks.js";
import {shown} from "./range.js";
import {state} from "./state.js";

//  `hidden` has the labels of lines that are not drawn; `cut` is what can be left off the
//  axis, `isCut` whether it is. The span and the notes are asked
//  for at each drawing, since they change more often than the rest.
export function modelOf ({settings, block, hidden}) {
    const all = lines (settings, block), isLog = settings.scale === "log";
    const cut = isLog ? null
        : cutOf (all.filter (({label, held}) => held && !hidden.has (label)));
    return {block, times: times (block), lines: all, hidden, cut,
            isHeat: Boolean (block.cells), isLog, isCut: cut && settings.peaks === "cut",
            fromZero: settings.axis === "zero" || block.type !== "gauge",
            utc: state.utc, format: block.type === "timer" ? duration : number,
            span: shown, notes: () => notes};
}
