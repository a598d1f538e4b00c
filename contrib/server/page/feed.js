//  feed - the points of a chart: all that is in sight, and then what came since
//
//  SPDX-License-Identifier: BSD-3-Clause

import {get, now} from "./api.js";
import {continued, ended, fits} from "./block.js";
import {shown} from "./range.js";

const OVERLAP_S = 70;   //  a worker that flushes once a minute is so late
const RELOAD_S = 60;    //  then all is asked for again
const RETRY_S = 5;      //  after a refusal
const MIN_S = 1, MAX_S = 30;    //  between two questions
const NOT_FOUND = 404;

function reason ({status, message}) {
    return status === NOT_FOUND ? "No metric has this name yet." : status ? message : "";
}

//  load () and more () return {block}, or {refused} with the reason, which is "" if the
//  server did not answer; or null if another question was asked meanwhile.
export class Feed {
    //  `query` returns the parameters of a question.
    constructor (query) {
        this.query = query;
        this.block = null;
        this.loads = 0;         //  how often all was asked for
        this.moreAt = Infinity; //  when there may be more
        this.reloadAt = 0;      //  when all is to be asked for again
    }

    get isDue () {
        return now () >= this.moreAt;
    }

    get isStale () {
        return !this.block || now () > this.reloadAt;
    }

    async ask (more = {}) {
        const {loads} = this;
        const answer = await get ("api/points", {...this.query (), running: 1, ...more})
            .then ((block) => ({block}),
                   (error) => ({refused: reason (error)}));
        return loads === this.loads ? answer : null;
    }

    //  What comes within the time of a pixel would be drawn where the last was.
    take (block) {
        const {from, to, points} = this.query ();
        const wait = Math.max (block.resolution / 2, (to - from) / points, MIN_S);
        this.block = block;
        this.moreAt = now () + Math.min (wait, MAX_S);
    }

    async load () {
        this.loads++;
        const answer = await this.ask ();
        if (answer?.block) {
            this.reloadAt = now () + RELOAD_S;
            this.take (answer.block);
        } else if (answer?.refused) {
            //  There may be such a metric later.
            this.block = null;
            this.moreAt = now () + RETRY_S;
        }
        return answer;
    }

    async more () {
        const {block} = this, [from] = shown ();
        const since = Math.max (block.from,
                                ended (block) - Math.max (OVERLAP_S, block.resolution));
        const ids = block.groups.map (({id}) => id).filter ((id) => id);
        this.moreAt = Infinity;
        const answer = await this.ask ({from: since, resolution: block.resolution,
                                        ids: ids.join (",")});
        if (answer && !answer.block)
            this.moreAt = now () + MIN_S;
        else if (answer && !fits (block, answer.block))
            return this.load ();
        else if (answer)
            this.take (continued (block, answer.block, from));
        return answer;
    }
}
