//  theme - light or dark, as the system has it or as was chosen; and the colours of
//  what is drawn, which are variables of page.css
//
//  SPDX-License-Identifier: BSD-3-Clause

import {state} from "./state.js";

const LINE_COLORS = 10;         //  in page.css

const system = matchMedia ("(prefers-color-scheme: dark)");
const colors = new Map ();      //  those that were looked up in this theme

export const isDark = () => state.theme ? state.theme === "dark" : system.matches;

export function applyTheme () {
    colors.clear ();
    document.documentElement.dataset.theme = isDark () ? "dark" : "light";
}

export const onSystemTheme = (listener) =>
    system.addEventListener ("change", listener);

export function color (name) {
    if (!colors.has (name))
        colors.set (name, getComputedStyle (document.documentElement)
            .getPropertyValue (`--${name}`).trim ());
    return colors.get (name);
}

//  Of the nth line of a chart. What comes after so many is the sum of all others.
export const lineColor = (n) => color (n < LINE_COLORS ? `line-${n + 1}` : "text");
