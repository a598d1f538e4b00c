//  plot - uPlot as charts need it: one cursor over all, times of 24 hours, colours of
//  the theme, gaps that are gaps
//
//  SPDX-License-Identifier: BSD-3-Clause

import {drawHeat, heatRange} from "./heat.js";
import {tick} from "./format.js";
import {drawNotes, drawPeaks, drawRunning} from "./overlays.js";
import {color, lineColor} from "./theme.js";

const {uPlot} = window;
const FONT = "12px Inter, system-ui, sans-serif";
const HEIGHT = 240, MIN_DRAG = 3;       //  pixels

//  The width of lines; and of those that have more points than so many a pixel. Without a
//  graphics card a wide line that turns so often takes 40 times as long as one of a pixel.
const WIDTH = 1.75, THIN = 1, DENSE = 0.4;
const LINEAR = 1, LOGARITHMIC = 3;      //  uPlot's `distr`

//  Lines over a heat map have the text's colour, and are told apart by their dashes.
const DASHES = [undefined, [6, 4], [2, 4]], STYLES = ["solid", "dashed", "dotted"];

//  The colour of a line, its dashes, and the same as CSS has it.
export function penOf (model, i) {
    const dashes = model.isHeat ? i % DASHES.length : 0;
    return {stroke: model.isHeat ? color ("text") : lineColor (i),
            dash: DASHES[dashes], style: STYLES[dashes]};
}

//  A logarithmic axis has lines at powers of ten only.
const powers = (plot, splits) => splits.map ((value) =>
    Math.abs (Math.log10 (value) - Math.round (Math.log10 (value))) < 1e-9 ? value : null);

function axis (more, isLog = false) {
    const grid = {stroke: color ("grid"), width: 1, ...isLog ? {filter: powers} : {}};
    return {stroke: color ("muted"), font: FONT, grid, ticks: {...grid, size: 4}, ...more};
}

//  A hole is a gap only if it is longer than the line's reach. What leads to an interval
//  that is not over is left to drawRunning. The line is asked for, since it is replaced
//  when there are newer numbers.
const gaps = (line) => (plot, series, first, last, holes) => {
    const {min, max} = plot.scales.x, {reach, whole} = line ();
    const pixels = reach * plot.bbox.width / (max - min), [times] = plot.data;
    //  A pixel more, or the begin of the line across a gap would be seen if it is steep.
    const found = holes.filter (([from, to]) => to - from > pixels)
        .map (([from, to]) => [from - 1, to]);
    if (whole < times.length)
        found.push ([plot.valToPos (times[Math.max (whole - 1, 0)], "x", true),
                     plot.bbox.left + 2 * plot.bbox.width]);
    return found;
};

//  A value that has no neighbour within reach is no line: it is a point. Returns the
//  indices of those, or null, as uPlot has it.
const lonely = (line) => (plot, series, all) => {
    if (all)
        return null;
    const {values, reach} = line (), [times] = plot.data, found = [];
    let before = -1;            //  index of the value before
    let isFar = true;           //  is that one far from the one before it?
    values.forEach ((value, i) => {
        if (value === null)
            return;
        const isApart = before < 0 || times[i] - times[before] > reach;
        if (before >= 0 && isFar && isApart)
            found.push (before);
        [before, isFar] = [i, isApart];
    });
    if (before >= 0 && isFar)
        found.push (before);
    return found.length ? found : null;
};

function seriesOf (model, i, width) {
    const line = () => model.lines[i], {label, band} = line ();
    const isAlone = model.lines.length === 1 && !band && !model.isHeat;
    const {stroke, dash} = penOf (model, i);
    return {label, width, show: !model.hidden.has (label), stroke, dash,
            fill: isAlone ? color ("accent-soft") : undefined,
            points: {size: 4, filter: lonely (line)}, gaps: gaps (line)};
}

const edgeOf = (model, i, label) =>
    ({label, stroke: color ("band-edge"), width: 0.5, points: {show: false},
      gaps: gaps (() => model.lines[i])});

//  As dataOf () has them: the lines, and then the two edges of each that has a band.
function allSeries (model, pixels) {
    const width = model.times.length > DENSE * pixels ? THIN : WIDTH, bands = [];
    const series = [{}, ...model.lines.map ((_, i) => seriesOf (model, i, width))];
    model.lines.forEach (({band}, i) => {
        if (!band)
            return;
        series.push (edgeOf (model, i, "min"), edgeOf (model, i, "max"));
        bands.push ({series: [series.length - 1, series.length - 2], fill: color ("band")});
    });
    return {series, bands};
}

export const dataOf = ({times, lines}) =>
    [times, ...lines.map (({values}) => values), ...lines.flatMap (({band}) => band ?? [])];

//  The ends of the y axis. Zero is one of them where it is asked for.
const range = (model) => (plot, min, max) => {
    if (model.isHeat)
        return heatRange (model.block);
    if (min === null)
        return model.isLog ? [1, 10] : [0, 1];
    if (model.isLog)
        return uPlot.rangeLog (min, max, 10, false);
    const bottom = model.fromZero && min > 0 ? 0 : min;
    const top = model.isCut ? Math.min (max, model.cut.max) : max;
    if (bottom === top)
        return top === 0 ? [0, 1] : [Math.min (0, top * 1.2), Math.max (0, top * 1.2)];
    const room = (top - bottom) * 0.08;
    return [bottom === 0 ? 0 : bottom - room, top + room];
};

const axes = (model, isLog) => [
    axis ({space: 70, size: 30, values: (plot, splits, i, space, apart) =>
        splits.map ((time) => tick (time, apart, model.utc))}),
    axis ({size: 68, values: (plot, splits) =>
        splits.map ((value) => value === null ? "" : model.format (value))}, isLog)];

//  The chart in which a drag has begun, and which zooms. All charts have one cursor, so
//  all of them see the end.
let dragged = null;

const onMouseDown = (plot, target, next) => (event) => {
    dragged = plot;
    next (event);
};

const onSelect = (handlers) => (plot) => {
    const {left, width} = plot.select;
    if (width < MIN_DRAG)
        return;
    plot.setSelect ({left: 0, top: 0, width: 0, height: 0}, false);
    if (plot === dragged)
        handlers.zoom (plot.posToVal (left, "x"), plot.posToVal (left + width, "x"));
};

//  Draws a model (model.js says what it is); handlers are zoom (from, to), unzoom (),
//  and point (index) for the cursor's time.
export function newPlot (parent, model, handlers) {
    const isLog = model.isLog || model.isHeat;
    const options = {
        width: parent.clientWidth, height: HEIGHT, legend: {show: false},
        ...allSeries (model, parent.clientWidth),
        padding: [8, 28, 0, 0],    //  half of the last time
        scales: {x: {range: () => model.span ()},
                 y: {range: range (model), distr: isLog ? LOGARITHMIC : LINEAR, log: 10}},
        axes: axes (model, isLog),
        tzDate: (time) => model.utc ? uPlot.tzDate (new Date (time * 1000), "Etc/UTC")
            : new Date (time * 1000),
        cursor: {sync: {key: "zibrato", scales: ["x", null], setSeries: false},
                 drag: {x: true, y: false, setScale: false},
                 bind: {mousedown: onMouseDown, dblclick: () => () => handlers.unzoom ()},
                 points: {size: 7, width: 2}, y: false},
        hooks: {drawAxes: [(plot) => model.isHeat && drawHeat (plot, model.block)],
                draw: [(plot) => drawRunning (plot, model.lines),
                       (plot) => model.isCut && drawPeaks (plot, model),
                       (plot) => drawNotes (plot, model.notes ())],
                setCursor: [(plot) => handlers.point (plot.cursor.idx)],
                setSelect: [onSelect (handlers)]}
    };
    const plot = new uPlot (options, dataOf (model), parent);
    plot.root.setAttribute ("role", "img");
    plot.root.setAttribute ("aria-label", "the lines of the table below, over time");
    return plot;
}
