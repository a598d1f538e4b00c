//  chart - one metric over time: what is asked for, drawn, and kept up to date
//
//  SPDX-License-Identifier: BSD-3-Clause

import {isEmpty} from "./block.js";
import {peaksKey, showHeader} from "./chart_header.js";
import {el, fill, setText} from "./dom.js";
import {Feed} from "./feed.js";
import {heatKey} from "./heat.js";
import {Legend} from "./legend.js";
import {about, areSame} from "./lines.js";
import {modelOf} from "./model.js";
import {noteAt} from "./notes.js";
import {dataOf, newPlot} from "./plot.js";
import {shown, unzoom, zoomTo} from "./range.js";

const AXIS = 80;                //  pixels beside the plot
const MIN_POINTS = 50, MAX_HEAT_POINTS = 240;
const TOP = 10;                 //  sources with lines of their own
const NOTE_REACH = 4;           //  pixels from an annotation to the cursor

export class Chart {
    constructor (settings) {
        this.settings = settings;
        this.hidden = new Set ();
        this.feed = new Feed (() => this.query ());
        this.plot = this.model = null;
        this.drawnUntil = 0;
        this.isSeen = true;     //  or it is not kept up to date
        this.canvas = el ("div", {class: "plot"});
        this.key = el ("span");
        this.about = el ("span", {class: "about"});
        this.legend = new Legend (() => this.draw ());
        this.element = el ("section", {class: "chart", "data-name": settings.name,
                                       "aria-label": `chart of ${settings.name}`,
                                       tabindex: "0"},
                           el ("div"), this.canvas,
                           el ("p", {class: "resolution"}, this.key, this.about),
                           this.legend.element);
    }

    get block () {
        return this.feed.block;
    }

    //  What the server is asked for.
    query () {
        const {name, over, look, source} = this.settings, isHeat = look === "heat";
        const [from, to] = shown (), pixels = this.canvas.clientWidth - AXIS;
        return {name, from: Math.floor (from), to: Math.floor (to), source, over,
                points: Math.max (MIN_POINTS,
                                  isHeat ? Math.min (MAX_HEAT_POINTS, pixels) : pixels),
                top: TOP, heat: isHeat ? 1 : null};
    }

    //  Asks again for everything that is in sight. `rebuild`: the settings have changed,
    //  too, and what is drawn is of no use any more.
    async load (rebuild = true) {
        this.element.classList.add ("loading");
        const answer = await this.feed.load ();
        if (!answer)
            return;
        this.element.classList.remove ("loading");
        this.show (answer, rebuild);
    }

    show ({block, refused}, rebuild) {
        if (block && (rebuild || !this.plot))
            this.draw ();
        else if (block)
            this.update ();
        else if (refused) {
            showHeader (this);
            this.showText (refused);
        }
    }

    //  In place of a plot.
    showText (text) {
        this.destroyPlot ();
        fill (this.canvas, el ("p", {class: "nothing"}, text));
        fill (this.key);
        fill (this.about);
        fill (this.legend.element);
    }

    //  Called each second while live: asks for what came since, or moves on.
    async tick () {
        const {feed} = this;
        if (!this.isSeen)
            return;
        if (!feed.isDue)
            this.move ();
        else if (!this.plot || feed.isStale)
            await this.load (false);
        else {
            const answer = await feed.more ();
            if (answer)
                this.show (answer, false);
        }
    }

    //  The window goes on by a pixel, though nothing new is there.
    move () {
        if (!this.plot)
            return;
        const [from, to] = shown ();
        const pixels = this.plot.bbox.width / window.devicePixelRatio;
        if ((to - this.drawnUntil) * pixels < to - from)
            return;
        this.drawnUntil = to;
        this.plot.redraw (true, true);
    }

    //  Builds it anew, after settings, theme or size have changed.
    draw () {
        if (!this.block)
            return;
        showHeader (this);
        if (isEmpty (this.block)) {
            this.showText (this.settings.source && !this.block.series
                ? "No source has these words." : "Nothing was measured in this time.");
            return;
        }
        this.destroyPlot ();
        fill (this.canvas);
        this.model = modelOf (this);
        this.plot = newPlot (this.canvas, this.model, {
            point: (index) => this.point (index),
            zoom: (from, to) => this.zoom (from, to), unzoom});
        this.legend.show (this.model);
        this.showAbout ();
        this.showKey ();
    }

    //  Newer numbers of the same lines.
    update () {
        const model = modelOf (this);
        if (isEmpty (this.block) || !areSame (model.lines, this.model.lines)) {
            this.draw ();
            return;
        }
        Object.assign (this.model, model);
        this.plot.setData (dataOf (this.model), true);
        this.legend.update (this.model);
        this.showAbout ();
        this.showKey ();
        [, this.drawnUntil] = shown ();
    }

    //  At least some points, and ten seconds.
    zoom (from, to) {
        const first = Math.max (1, Math.floor (from));
        const least = 10 * Math.min (this.block.resolution, 6);
        zoomTo (first, Math.max (Math.ceil (to), first + least));
    }

    //  What each point is; or the annotation that the cursor is at, by the index of its
    //  time.
    showAbout (index = null) {
        const {times, utc} = this.model, {plot} = this;
        const {min, max} = plot.scales.x, time = times[index];
        const note = time === undefined ? ""
            : noteAt (time, NOTE_REACH * (max - min) / plot.width);
        setText (this.about, note || about (this.settings, this.block, utc));
        this.about.classList.toggle ("note", Boolean (note));
    }

    showKey () {
        const {isHeat, cut} = this.model, key = isHeat ? heatKey (this.block)
            : cut ? peaksKey (this) : null;
        //  A button that has the focus, or is pressed, stays.
        if (isHeat || this.key.textContent !== (key?.textContent ?? ""))
            fill (this.key, key);
    }

    point (index) {
        this.legend.point (index);
        this.showAbout (index);
    }

    resize () {
        if (this.plot && this.canvas.clientWidth !== this.plot.width)
            this.draw ();
    }

    destroyPlot () {
        this.plot?.destroy ();
        this.plot = null;
    }
}
