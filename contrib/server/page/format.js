//  format - numbers, durations, sizes and times as people read them
//
//  SPDX-License-Identifier: BSD-3-Clause

const LARGE = [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
const SECONDS = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]];
const ROUNDED = 0.9995;         //  999.5 k has the digits of 1 M
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

//  In the largest unit of which it has one, or else in the smallest.
function inUnits (value, units) {
    const [unit, name] = units.find (([least]) => Math.abs (value) >= ROUNDED * least)
        ?? units.at (-1);
    return `${short (value / unit)} ${name}`;
}

export function number (value) {
    if (isNone (value))
        return NONE;
    return Math.abs (value) < 10000 ? short (value) : inUnits (value, LARGE);
}

const digits = new Intl.NumberFormat ("en", {maximumFractionDigits: 6});

//  Every digit, in groups of three.
export const exact = (value) => isNone (value) ? NONE
    : digits.format (value).replaceAll (",", " ");

//  Seconds that something took.
export function duration (value) {
    if (isNone (value))
        return NONE;
    if (value === 0)
        return "0 s";
    return Math.abs (value) < 600 ? inUnits (value, SECONDS) : span (Math.round (value));
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
