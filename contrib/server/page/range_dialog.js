//  range_dialog - from one time to another, as somebody types them
//
//  SPDX-License-Identifier: BSD-3-Clause

import {find} from "./dom.js";
import {clock, day} from "./format.js";
import {shown, zoomTo} from "./range.js";
import {state} from "./state.js";

const dialog = find ("#times"), form = dialog.querySelector ("form");
const error = dialog.querySelector (".error");

//  The name of the times that are shown.
export const zone = () => state.utc ? "UTC"
    : Intl.DateTimeFormat ().resolvedOptions ().timeZone;

//  As a field of type datetime-local has it, and back.
const write = (seconds) => `${day (seconds, state.utc)}T${clock (seconds, state.utc)}`;
const read = (text) => Math.floor (Date.parse (state.utc ? `${text}Z` : text) / 1000);

export function askTimes () {
    const [from, to] = shown ();
    form.elements.from.value = write (from);
    form.elements.to.value = write (to);
    error.textContent = "";
    dialog.querySelector (".zone").textContent = `Times are those of ${zone ()}.`;
    dialog.showModal ();
}

export function startTimes () {
    form.addEventListener ("submit", (event) => {
        event.preventDefault ();
        const from = read (form.elements.from.value), to = read (form.elements.to.value);
        if (!(from < to)) {
            error.textContent = "That ends before it begins.";
            return;
        }
        dialog.close ();
        zoomTo (from, to);
    });
}
