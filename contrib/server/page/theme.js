//  theme - light or dark, as the system has it or as was chosen; and colours for
//  what is drawn, which the style sheet has as variables
//
//  SPDX-License-Identifier: BSD-3-Clause

import {state} from "./state.js";

const system = matchMedia ("(prefers-color-scheme: dark)");

export const isDark = () => state.theme ? state.theme === "dark" : system.matches;

const colors = new Map ();      //  what was looked up

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

const LINES = 10;

//  Of the nth line of a chart.
export const lineColor = (n) => color (`line-${n % LINES + 1}`);
