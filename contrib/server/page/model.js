//  model - all that it takes to draw a chart, of what it shows and what the server said
//
//  SPDX-License-Identifier: BSD-3-Clause

import {lines, times} from "./columns.js";
import {duration, number} from "./format.js";
import {notes} from "./notes.js";
import {shown} from "./range.js";
import {state} from "./state.js";

export function modelOf ({settings, block, hidden}) {
    const heat = Boolean (block.cells), timer = block.type === "timer";
    return {block, times: times (block), lines: lines (settings, block), heat, hidden,
            log: settings.scale === "log",
            zero: settings.axis === "zero" || block.type !== "gauge",
            utc: state.utc, format: timer ? duration : number, span: shown,
            notes: () => notes};
}
