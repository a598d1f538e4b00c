//  chart - one metric over time: what is asked for, drawn, and kept up to date
//
//  SPDX-License-Identifier: BSD-3-Clause

import {get, now} from "./api.js";
import {showHeader} from "./chart_header.js";
import {about, areSame, continued, fits} from "./columns.js";
import {el, fill} from "./dom.js";
import {Legend} from "./legend.js";
import {modelOf} from "./model.js";
import {noteAt} from "./notes.js";
import {dataOf, newPlot} from "./plot.js";
import {shown, unzoom, zoomTo} from "./range.js";

const OVERLAP = 70;     //  seconds: a worker that flushes once a minute is so late
const RELOAD = 60;      //  seconds, after which all is asked for again
const RETRY = 5;
const HEAT_POINTS = 240;
const TOP = 10;

export class Chart {
    constructor (settings) {
        this.settings = settings;
        this.hidden = new Set ();
        this.plot = this.block = this.model = null;
        this.wanted = 0;        //  the latest request
        this.drawn = 0;         //  up to when
        this.due = Infinity;    //  when it is to be asked for more
        this.canvas = el ("div", {class: "plot"});
        this.about = el ("p", {class: "resolution"});
        this.legend = new Legend (() => this.draw ());
        this.element = el ("section", {class: "chart", "data-name": settings.name,
                                       "aria-label": `chart of ${settings.name}`,
                                       tabindex: "0"},
                           el ("div"), this.canvas, this.about, this.legend.element);
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
        const mine = ++this.wanted;
        this.element.classList.add ("loading");
        try {
            const block = await get ("/api/points", this.query ());
            if (mine !== this.wanted)
                return;
            this.stale = now () + RELOAD;
            this.take (block);
            if (anew || !this.plot)
                this.draw ();
            else
                this.update ();
        } catch (error) {
            if (mine === this.wanted && error.status)
                this.refused (error.message);
        } finally {
            if (mine === this.wanted)
                this.element.classList.remove ("loading");
        }
    }

    take (block) {
        this.block = block;
        this.due = now () + Math.min (Math.max (block.resolution / 2, 1), 30);
    }

    //  There may be such a metric later.
    refused (text) {
        this.block = null;
        this.due = now () + RETRY;
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
        if (now () < this.due)
            this.move ();
        else if (!this.plot || now () > this.stale)
            await this.load (false);
        else
            await this.loadMore ();
    }

    async loadMore () {
        const {block} = this, mine = this.wanted, [from] = shown ();
        const end = block.from + block.count * block.resolution;
        const since = Math.max (block.from, end - Math.max (OVERLAP, block.resolution));
        const ids = block.groups.map ((group) => group.id).filter ((id) => id);
        this.due = Infinity;
        const more = await get ("/api/points", {
            ...this.query (), from: since, resolution: block.resolution,
            ids: ids.join (",")}).catch (() => null);
        if (mine !== this.wanted)
            return;
        if (!more)
            this.due = now () + 1;
        else if (!fits (block, more))
            await this.load (false);
        else {
            this.take (continued (block, more, from));
            this.update ();
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
        this.about.textContent = note || about (this.settings, this.block, this.model.utc);
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
