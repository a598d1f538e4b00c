//  notes - annotations in the time that is shown
//
//  SPDX-License-Identifier: BSD-3-Clause

import {get} from "./api.js";
import {clock} from "./format.js";
import {shown} from "./range.js";
import {state} from "./state.js";

//  {stream, title, time, end, description}: what charts draw.
export const notes = [];

export async function loadNotes () {
    const [from, to] = shown ();
    const answer = await get ("api/annotations", {from: Math.floor (from),
                                                  to: Math.ceil (to)}).catch (() => null);
    if (answer)
        notes.splice (0, notes.length, ...answer.annotations);
}

//  What those say that are at most `reach` seconds away.
export const noteAt = (time, reach) => notes
    .filter ((note) => time >= note.time - reach
        && time <= Math.max (note.time, note.end) + reach)
    .map ((note) => [`${note.stream}: ${note.title}`, note.description,
                     clock (note.time, state.utc)].filter (Boolean).join (" · "))
    .join ("; ");
