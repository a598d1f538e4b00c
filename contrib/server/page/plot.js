//  plot - uPlot as charts need it: one cursor over all, times of 24 hours, colours of
//  the theme, gaps that are gaps
//
//  SPDX-License-Identifier: BSD-3-Clause

import {drawHeat, heatRange} from "./heat.js";
import {tick} from "./format.js";
import {drawNotes, drawRunning} from "./over.js";
import {color, lineColor} from "./theme.js";

const {uPlot} = window;
const FONT = "12px Inter, system-ui, sans-serif";
export const HEIGHT = 240;
const DASHES = [undefined, [6, 4], [2, 4]];     //  percentiles over a heat map

//  A logarithmic axis has lines at powers of ten only.
const powers = (plot, splits) => splits.map ((value) =>
    Math.abs (Math.log10 (value) - Math.round (Math.log10 (value))) < 1e-9 ? value : null);

function axis (more, log = false) {
    const grid = {stroke: color ("grid"), width: 1, ...log ? {filter: powers} : {}};
    return {stroke: color ("muted"), font: FONT, grid, ticks: {...grid, size: 4}, ...more};
}

//  A hole is a gap only if it is longer than a line's usual distance. What leads to an
//  interval that is not over is drawn by drawRunning.
const gaps = (line) => (plot, series, first, last, holes) => {
    const {min, max} = plot.scales.x, {reach, whole} = line ();
    const pixels = reach * plot.bbox.width / (max - min), [times] = plot.data;
    const found = holes.filter (([from, to]) => to - from > pixels);
    if (whole < times.length)
        found.push ([plot.valToPos (times[Math.max (whole - 1, 0)], "x", true),
                     plot.bbox.left + 2 * plot.bbox.width]);
    return found;
};

//  A value without neighbours is no line: it is a point.
const lonely = (line) => (plot, series, all) => {
    if (all)
        return null;
    const {values, reach} = line (), [times] = plot.data, found = [];
    let before = -1;            //  index of the value before
    const isFar = (a, b) => times[b] - times[a] > reach;
    let far = true;             //  from the value before it
    values.forEach ((value, i) => {
        if (value === null)
            return;
        const apart = before < 0 || isFar (before, i);
        if (before >= 0 && far && apart)
            found.push (before);
        [before, far] = [i, apart];
    });
    if (before >= 0 && far)
        found.push (before);
    return found.length ? found : null;
};

//  Lines, and behind each that has a band, its two edges.
function seriesOf (model) {
    const series = [{}], bands = [];
    model.lines.forEach ((line, i) => {
        const stroke = model.heat ? color ("text") : lineColor (i);
        series.push ({
            label: line.label, stroke, width: 1.75,
            fill: model.lines.length === 1 && !line.band && !model.heat
                ? color ("accent-soft") : undefined,
            dash: model.heat ? DASHES[i] : undefined, show: !model.hidden.has (line.label), points: {size: 4, filter: lonely (() => model.lines[i])},
            gaps: gaps (() => model.lines[i])});
    });
    model.lines.forEach ((line) => {
        if (!line.band)
            return;
        for (const label of ["min", "max"])
            series.push ({label, stroke: color ("band-edge"), width: 0.5,
                          points: {show: false}, gaps: gaps (() => line)});
        bands.push ({series: [series.length - 1, series.length - 2],
                     fill: color ("band")});
    });
    return {series, bands};
}

export function dataOf (model) {
    return [model.times, ...model.lines.map (({values}) => values),
            ...model.lines.flatMap (({band}) => band ?? [])];
}

//  The y axis: from zero where it is asked for, or where counts are.
function range (model) {
    return (plot, min, max) => {
        if (model.heat)
            return heatRange (model.block);
        if (min === null)
            return model.log ? [1, 10] : [0, 1];
        if (model.log)
            return uPlot.rangeLog (min, max, 10, false);
        const bottom = model.zero && min > 0 ? 0 : min;
        if (bottom === max)
            return max === 0 ? [0, 1] : [Math.min (0, max * 1.2), Math.max (0, max * 1.2)];
        const room = (max - bottom) * 0.08;
        return [bottom === 0 ? 0 : bottom - room, max + room];
    };
}

function hooks (model, handlers, drag) {
    return {
        drawAxes: [(plot) => model.heat && drawHeat (plot, model.block)],
        draw: [(plot) => drawRunning (plot, model.lines),
               (plot) => drawNotes (plot, model.notes ())],
        setCursor: [(plot) => handlers.point (plot.cursor.idx)],
        setSelect: [(plot) => {
            const {left, width} = plot.select;
            if (width < 3)
                return;
            const from = plot.posToVal (left, "x"), to = plot.posToVal (left + width, "x");
            plot.setSelect ({left: 0, top: 0, width: 0, height: 0}, false);
            if (drag.here)
                handlers.zoom (from, to);
            drag.here = false;
        }]
    };
}

//  Makes a chart of a model {times, lines, block, heat, log, zero, utc, span (), notes (),
//  hidden, format}; handlers are zoom (from, to) and point (index).
export function newPlot (parent, model, handlers) {
    const {series, bands} = seriesOf (model);
    const drag = {here: false};     //  all charts get its end, one has its begin
    const begin = (plot, target, next) => (event) => {
        drag.here = true;
        next (event);
    };
    const options = {
        width: parent.clientWidth, height: HEIGHT, legend: {show: false}, series, bands,
        padding: [8, 28, 0, 0],    //  half of the last time
        scales: {x: {range: () => model.span ()},
                 y: {range: range (model), distr: model.log || model.heat ? 3 : 1,
                     log: 10}},
        axes: [axis ({space: 70, size: 30, values: (plot, splits, i, space, apart) =>
                          splits.map ((time) => tick (time, apart, model.utc))}),
               axis ({size: 68, values: (plot, splits) =>
                          splits.map ((value) => value === null ? "" : model.format (value))},
                     model.log || model.heat)],
        tzDate: (time) => model.utc ? uPlot.tzDate (new Date (time * 1000), "Etc/UTC")
            : new Date (time * 1000),
        cursor: {sync: {key: "zibrato", scales: ["x", null], setSeries: false},
                 drag: {x: true, y: false, setScale: false},
                 bind: {mousedown: begin, dblclick: () => () => handlers.unzoom ()},
                 points: {size: 7, width: 2}, y: false},
        hooks: hooks (model, handlers, drag)
    };
    return new uPlot (options, dataOf (model), parent);
}
