//  chart - one metric over time: what is asked for, drawn, and kept up to date
//
//  SPDX-License-Identifier: BSD-3-Clause

import {showHeader} from "./chart_header.js";
import {about, areSame} from "./columns.js";
import {el, fill, say} from "./dom.js";
import {Feed} from "./feed.js";
import {Legend} from "./legend.js";
import {modelOf} from "./model.js";
import {noteAt} from "./notes.js";
import {dataOf, newPlot} from "./plot.js";
import {shown, unzoom, zoomTo} from "./range.js";

const HEAT_POINTS = 240;
const TOP = 10;

export class Chart {
    constructor (settings) {
        this.settings = settings;
        this.hidden = new Set ();
        this.feed = new Feed (() => this.query ());
        this.plot = this.model = null;
        this.drawn = 0;         //  up to when
        this.isSeen = true;     //  what is not is not kept up to date
        this.canvas = el ("div", {class: "plot"});
        this.about = el ("p", {class: "resolution"});
        this.legend = new Legend (() => this.draw ());
        this.element = el ("section", {class: "chart", "data-name": settings.name,
                                       "aria-label": `chart of ${settings.name}`,
                                       tabindex: "0"},
                           el ("div"), this.canvas, this.about, this.legend.element);
    }

    get block () {
        return this.feed.block;
    }

    //  What the server is asked for.
    query () {
        const {name, over, look, source} = this.settings;
        const [from, to] = shown ();
        const heat = look === "heat", pixels = this.canvas.clientWidth - 80;
        return {name, from: Math.floor (from), to: Math.floor (to), source, over,
                points: Math.max (50, heat ? Math.min (HEAT_POINTS, pixels) : pixels),
                top: TOP, heat: heat ? 1 : null};
    }

    //  Everything that is in sight, again. `anew` builds the chart anew, too.
    async load (anew = true) {
        this.element.classList.add ("loading");
        const said = await this.feed.load ();
        if (!said)
            return;
        this.element.classList.remove ("loading");
        this.show (said, anew);
    }

    show ({block, refused}, anew) {
        if (block && (anew || !this.plot))
            this.draw ();
        else if (block)
            this.update ();
        else if (refused)
            this.refused (refused);
    }

    refused (text) {
        showHeader (this);
        this.explain (text);
    }

    explain (text) {
        this.destroyPlot ();
        fill (this.canvas, el ("p", {class: "nothing"}, text));
        this.about.textContent = "";
    }

    //  Called each second while live: asks for what came since, or moves on.
    async tick () {
        const {feed} = this;
        if (!this.isSeen)
            return;
        if (!feed.isDue ())
            this.move ();
        else if (!this.plot || feed.isStale ())
            await this.load (false);
        else {
            const said = await feed.more ();
            if (said)
                this.show (said, false);
        }
    }

    //  The window goes on by pixels, though nothing new is there.
    move () {
        if (!this.plot)
            return;
        const [from, to] = shown ();
        if ((to - this.drawn) * this.plot.width < to - from)
            return;
        this.drawn = to;
        this.plot.redraw (true, true);
    }

    //  All of it, after settings, theme or size have changed.
    draw () {
        if (!this.block)
            return;
        showHeader (this);
        if (!this.block.groups.length) {
            this.explain (this.settings.source && !this.block.series
                ? "No source has these words." : "Nothing was measured in this time.");
            fill (this.legend.element);
            return;
        }
        this.destroyPlot ();
        fill (this.canvas);
        this.model = modelOf (this);
        this.plot = newPlot (this.canvas, this.model, {
            point: (index) => this.point (index),
            zoom: (from, to) => this.zoom (from, to), unzoom});
        this.legend.show (this.model);
        this.tell ();
    }

    //  Newer numbers of the same lines.
    update () {
        const model = modelOf (this);
        if (!areSame (model.lines, this.model.lines)) {
            this.draw ();
            return;
        }
        Object.assign (this.model, model);
        this.plot.setData (dataOf (this.model), true);
        this.legend.update (this.model);
        this.tell ();
        [, this.drawn] = shown ();
    }

    zoom (from, to) {
        const {resolution} = this.block;
        const least = Math.max (1, Math.floor (from));
        zoomTo (least, Math.max (Math.ceil (to), least + 10 * Math.min (resolution, 6)));
    }

    //  What each point is, always; and the annotation that the cursor is at.
    tell (index = null) {
        const time = this.model.times[index];
        const note = time === undefined ? ""
            : noteAt (time, 4 * (this.plot.scales.x.max - this.plot.scales.x.min)
                            / this.plot.width);
        say (this.about, note || about (this.settings, this.block, this.model.utc));
        this.about.classList.toggle ("note", Boolean (note));
    }

    point (index) {
        this.legend.point (index);
        this.tell (index);
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
