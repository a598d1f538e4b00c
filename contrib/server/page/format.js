//  format - numbers, durations, sizes and times as people read them
//
//  SPDX-License-Identifier: BSD-3-Clause

const LARGE = [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
const NONE = "–";

const isNone = (value) => value === null || value === undefined || !isFinite (value);

//  Three or four digits: enough to compare by.
function short (value) {
    const size = Math.abs (value);
    if (size >= 100)
        return value.toFixed (0);
    if (size >= 10)
        return String (+value.toFixed (1));
    if (size >= 1)
        return String (+value.toFixed (2));
    return String (+value.toPrecision (3));
}

export function number (value) {
    if (isNone (value))
        return NONE;
    const size = Math.abs (value);
    if (size < 10000)
        return short (value);
    const [unit, letter] = LARGE.find (([least]) => size >= least);
    return `${short (value / unit)} ${letter}`;
}

const digits = new Intl.NumberFormat ("en", {maximumFractionDigits: 6});

//  Every digit, in groups of three.
export const exact = (value) => isNone (value) ? NONE
    : digits.format (value).replaceAll (",", " ");

//  Seconds that something took.
export function duration (value) {
    if (isNone (value))
        return NONE;
    const size = Math.abs (value);
    if (size === 0)
        return "0 s";
    if (size < 1e-6)
        return `${short (value * 1e9)} ns`;
    if (size < 1e-3)
        return `${short (value * 1e6)} µs`;
    if (size < 1)
        return `${short (value * 1e3)} ms`;
    return size < 600 ? `${short (value)} s` : span (Math.round (value));
}

const brief = (value) => String (+value.toFixed (value < 10 ? 1 : 0));

//  Seconds of time that passes: 90 is 90 s, 5400 is 90 min.
export function span (seconds) {
    for (const [unit, name] of [[86400, "d"], [3600, "h"], [60, "min"]])
        if (seconds >= 2 * unit || seconds === unit)
            return `${brief (seconds / unit)} ${name}`;
    return `${brief (seconds)} s`;
}

export function ago (seconds) {
    return seconds < 1 ? "now" : `${span (Math.floor (seconds))} ago`;
}

export function bytes (value) {
    if (isNone (value))
        return NONE;
    for (const [unit, name] of [[2 ** 40, "TB"], [2 ** 30, "GB"], [2 ** 20, "MB"],
                                [2 ** 10, "kB"]])
        if (value >= unit)
            return `${short (value / unit)} ${name}`;
    return `${value} B`;
}

export function plural (count, word, words = `${word}s`) {
    return `${exact (count)} ${count === 1 ? word : words}`;
}

const two = (value) => String (value).padStart (2, "0");

//  The parts of a time, in UTC or here.
function parts (seconds, utc) {
    const date = new Date (seconds * 1000);
    return utc
        ? [date.getUTCFullYear (), date.getUTCMonth () + 1, date.getUTCDate (),
           date.getUTCHours (), date.getUTCMinutes (), date.getUTCSeconds ()]
        : [date.getFullYear (), date.getMonth () + 1, date.getDate (),
           date.getHours (), date.getMinutes (), date.getSeconds ()];
}

export function clock (seconds, utc) {
    const [, , , hour, minute, second] = parts (seconds, utc);
    return `${two (hour)}:${two (minute)}:${two (second)}`;
}

export function day (seconds, utc) {
    const [year, month, date] = parts (seconds, utc);
    return `${year}-${two (month)}-${two (date)}`;
}

export const moment = (seconds, utc) => `${day (seconds, utc)} ${clock (seconds, utc)}`;

//  What stands at ticks that are so many seconds apart: the day where one begins.
export function tick (seconds, apart, utc) {
    const [, month, date, hour, minute, second] = parts (seconds, utc);
    if (apart >= 86400 || hour + minute + second === 0)
        return `${two (month)}-${two (date)}`;
    const text = `${two (hour)}:${two (minute)}`;
    return apart < 60 ? `${text}:${two (second)}` : text;
}
