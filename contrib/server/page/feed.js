//  feed - the points of a chart: all that is in sight, and then what came since
//
//  SPDX-License-Identifier: BSD-3-Clause

import {get, now} from "./api.js";
import {continued, ended, fits} from "./columns.js";
import {shown} from "./range.js";

const OVERLAP = 70;     //  seconds: a worker that flushes once a minute is so late
const RELOAD = 60;      //  seconds, after which all is asked for again
const RETRY = 5;

//  Both of its questions return {block}, or {refused} with the reason, which is "" if the
//  server did not answer; or null if another question has come meanwhile.
export class Feed {
    //  `query` says what the server is asked for.
    constructor (query) {
        this.query = query;
        this.block = null;
        this.wanted = 0;        //  the latest question
        this.due = Infinity;    //  when there may be more
        this.stale = 0;         //  when all is to be asked for again
    }

    async ask (more = {}) {
        const mine = this.wanted;
        const said = await get ("api/points", {...this.query (), running: 1, ...more})
            .then ((block) => ({block}),
                   (error) => ({refused: error.status ? error.message : ""}));
        return mine === this.wanted ? said : null;
    }

    take (block) {
        this.block = block;
        this.due = now () + Math.min (Math.max (block.resolution / 2, 1), 30);
    }

    async load () {
        this.wanted++;
        const said = await this.ask ();
        if (said?.block) {
            this.stale = now () + RELOAD;
            this.take (said.block);
        } else if (said?.refused) {
            //  There may be such a metric later.
            this.block = null;
            this.due = now () + RETRY;
        }
        return said;
    }

    async more () {
        const {block} = this, [from] = shown ();
        const since = Math.max (block.from,
                                ended (block) - Math.max (OVERLAP, block.resolution));
        const ids = block.groups.map ((group) => group.id).filter ((id) => id);
        this.due = Infinity;
        const said = await this.ask ({from: since, resolution: block.resolution,
                                      ids: ids.join (",")});
        if (said && !said.block)
            this.due = now () + 1;
        else if (said && !fits (block, said.block))
            return this.load ();
        else if (said)
            this.take (continued (block, said.block, from));
        return said;
    }

    //  Is there to be asked for more, or for all of it?
    isDue () {
        return now () >= this.due;
    }

    isStale () {
        return !this.block || now () > this.stale;
    }
}
