//  model - all that it takes to draw a chart, of what it shows and what the server said
//
//  SPDX-License-Identifier: BSD-3-Clause

import {times} from "./block.js";
import {duration, number} from "./format.js";
import {lines} from "./lines.js";
import {notes} from "./notes.js";
import {shown} from "./range.js";
import {state} from "./state.js";

//  `hidden` has the labels of lines that are not drawn. The span and the notes are asked
//  for at each drawing, since they change more often than the rest.
export function modelOf ({settings, block, hidden}) {
    return {block, times: times (block), lines: lines (settings, block),
            isHeat: Boolean (block.cells), hidden, isLog: settings.scale === "log",
            fromZero: settings.axis === "zero" || block.type !== "gauge",
            utc: state.utc, format: block.type === "timer" ? duration : number,
            span: shown, notes: () => notes};
}
