//  notes - annotations in the time that is shown
//
//  SPDX-License-Identifier: BSD-3-Clause

import {get} from "./api.js";
import {shown} from "./range.js";

//  {stream, title, time, end, description}; charts draw them.
export const notes = [];

export async function loadNotes () {
    const [from, to] = shown ();
    const answer = await get ("/api/annotations", {from: Math.floor (from),
                                                   to: Math.ceil (to)}).catch (() => null);
    if (answer)
        notes.splice (0, notes.length, ...answer.annotations);
}

//  Those that are so near to a time that the cursor is on them.
export const notesAt = (time, reach) =>
    notes.filter ((note) => Math.abs (note.time - time) <= reach);
